"""Follows deploy/two-gateways word for word, and restarts each gateway under load.

    run.py PROGRAM [--rolls N] [--per-second N]

The README's marked blocks are run by one shell, in a copy of the folder in which only the ports and the folder for what is
kept are others, because those may be in use here. While the block with the rolling restart runs, and some more restarts
after it, applications are submitted to HAProxy's address. Then every accepted one must be delivered to both systems, once,
with no attempt whose outcome was unknown, and both gateways must have taken some. A Prometheus with the files of
deploy/prometheus watches all the while: it must understand what the gateways show, and no rule may call a person. Exit code
0: all of that holds. It knows the page, the HTTP API and the sandboxes' control API, and nothing of the inside.
"""

import argparse
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import queue
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

HERE = pathlib.Path(__file__).parent
FOLDER = HERE.parent.parent / "deploy"
MARK = re.compile(r"<!-- two-gateways -->\n```sh\n(.*?)```", re.S)
KEPT = "/var/tmp/causeway-two-gateways"
PORTS = ["8080", "8404", "8091", "8191", "8092", "8192", "5442", "5682", "25682", "4379", "6389", "9101", "9102"]
# Below the ports that the kernel gives to outgoing connections.
FREE = range(10_240, 32_240)
# One answer of a vendor takes so long, so that calls are under way when a gateway is stopped.
DELAY_MS = 250
CLIENTS = 8


def free_ports(count):
    taken = set()
    while len(taken) < count:
        port = random.choice(FREE)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            taken.add(port)
    return sorted(taken)


def call(port, method, path, body=None, key=None, timeout=30):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status >= 300:
        raise SystemExit(f"{method} {path}: {answer.status} {text.decode(errors='replace')}")
    return json.loads(text) if text[:1] in (b"{", b"[") else text.decode()


class Page:
    """The README's blocks in one shell, in a copy with its own ports."""

    def __init__(self, program, folder):
        ports = free_ports(len(PORTS))
        random.shuffle(ports)
        self.ports = dict(zip(PORTS, ports))
        self.folder, self.kept = folder, folder / "kept"
        shutil.copytree(FOLDER, folder / "deploy")
        for file in [*(folder / "deploy" / "two-gateways").iterdir(), *(folder / "deploy" / "prometheus").iterdir()]:
            text = file.read_text()
            # The scripts write the last figure of a gateway's ports as a variable.
            text = text.replace("127.0.0.1:819$1", f"127.0.0.1:$([ $1 = 1 ] && echo {self.ports['8191']} || echo {self.ports['8192']})")
            text = text.replace("127.0.0.1:809$1", f"127.0.0.1:$([ $1 = 1 ] && echo {self.ports['8091']} || echo {self.ports['8092']})")
            text = re.sub(r"\b(" + "|".join(PORTS) + r")\b", lambda found: str(self.ports[found[1]]), text)
            file.write_text(text.replace(KEPT, str(self.kept)))
        self.blocks = MARK.findall((folder / "deploy" / "two-gateways" / "README.md").read_text())
        environment = {**os.environ, "PATH": f"{pathlib.Path(program).parent}:{os.environ['PATH']}"}
        environment = {name: value for name, value in environment.items() if not name.startswith("CAUSEWAY_")}
        self.shell = subprocess.Popen(["bash"], cwd=folder, env=environment, text=True, start_new_session=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        # Ends all of it when this process ends, in whatever way: its input is a pipe from here.
        clean = (f"cat >/dev/null; kill -TERM -- -{self.shell.pid}; bash {folder}/deploy/two-gateways/stop --remove; "
                 f"rm -rf {folder}")
        self.watch = subprocess.Popen(["bash", "-c", clean], stdin=subprocess.PIPE, start_new_session=True,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.ran = 0
        self.say("set -euo pipefail")

    def read(self):
        for line in self.shell.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def say(self, text):
        self.shell.stdin.write(text + "\n")
        self.shell.stdin.flush()

    def run(self, block, limit=300):
        """Runs one block and answers what it printed."""
        self.ran += 1
        file = self.folder / f"block-{self.ran}.sh"
        file.write_text(block)
        self.say(f". {file} </dev/null\necho @@done {self.ran}")
        said, end = [], time.monotonic() + limit
        while True:
            try:
                line = self.lines.get(timeout=0.5)
            except queue.Empty:
                # Its jobs may hold the pipe open when the shell has ended.
                line = None if self.shell.poll() is not None else ""
                if line is not None and time.monotonic() < end:
                    continue
                if line is not None:
                    raise SystemExit(f"after {limit} s this block has not ended:\n{block}\n{''.join(said)}") from None
            if line is None:
                raise SystemExit(f"this block failed:\n{block}\n{''.join(said)}\n{self.logs()}")
            if line.strip() == f"@@done {self.ran}":
                print("".join(f"   | {line}" for line in said), end="", flush=True)
                return "".join(said)
            said.append(line)

    def logs(self):
        logs = sorted((self.kept / "logs").glob("*")) if self.kept.exists() else []
        return "".join(f"--- {log.name}\n{''.join(log.read_text(errors='replace').splitlines(True)[-15:])}" for log in logs)

    def processes(self):
        """Numbers and beginnings of what `start` started."""
        return {file.name: file.read_text().split() for file in (self.kept / "pids").glob("*")}

    def end(self):
        if self.watch.poll() is None:
            self.watch.stdin.close()
            self.watch.wait(timeout=180)


def runs(pid, began):
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except OSError:
        return False
    return fields[0] not in "ZX" and fields[19] == began


class Watch:
    """A Prometheus with the repository's own files, only more often."""

    def __init__(self, page):
        place = page.folder / "deploy" / "prometheus"
        for check in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
            checked = subprocess.run(["promtool", *check], cwd=place, text=True, capture_output=True)
            if checked.returncode != 0:
                raise SystemExit(f"promtool {' '.join(check)}: {checked.stdout}{checked.stderr}")
        config = place / "prometheus.yaml"
        config.write_text(config.read_text().replace(": 15s", ": 1s"))
        self.port = free_ports(1)[0]
        # A job of the shell's, so that it ends with everything else.
        page.run(f"(cd {place} && exec prometheus --config.file=prometheus.yaml --storage.tsdb.path={page.kept}/prometheus "
                 f"--web.listen-address=127.0.0.1:{self.port} >{page.kept}/logs/prometheus 2>&1 </dev/null) &\nwatch=$!\n")
        self.page = page

    def ask(self, query):
        answer = call(self.port, "GET", f"/api/v1/query?query={urllib.parse.quote(query)}")
        return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]

    def judge(self):
        mistakes = []
        # Both were seen, restarts and all.
        seen = {metric["instance"] for metric, _ in self.ask("count by (instance) (count_over_time(causeway_build_info[1h]))")}
        if len(seen) != 2:
            mistakes.append(f"Prometheus saw the metrics of {sorted(seen)}")
        for group in call(self.port, "GET", "/api/v1/rules")["data"]["groups"]:
            mistakes += [f"rule {rule['name']}: {rule['lastError']}" for rule in group["rules"] if rule["health"] != "ok"]
        called = self.ask('count by (alertname) (count_over_time(ALERTS{alertstate="firing",severity="page"}[1h]))')
        mistakes += [f"{metric['alertname']} would have called a person" for metric, _ in called]
        self.page.run("kill $watch\n")
        return mistakes


class Load:
    """People who apply at a steady rate until they are told to stop, each until there is a definite answer."""

    def __init__(self, port, key, job, per_second):
        self.port, self.key, self.job, self.gap = port, key, job, CLIENTS / per_second
        self.accepted, self.refused, self.lock = {}, [], threading.Lock()
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def client(self, client):
        number = 0
        while not self.stopped.is_set():
            number += 1
            email = f"load-{client}-{number}@example.org"
            document = {
                "job": self.job,
                "person": {"name": {"given": "Ada", "family": "Example"}, "emails": [{"address": email}],
                           "phones": [{"raw": "+44 20 7946 0000"}],
                           "location": {"text": "London", "lat": 51.5, "lng": -0.13}},
                "attachments": [{"id": "cv", "kind": "resume", "name": "cv.txt", "media_type": "text/plain", "size": 16}],
                "consents": [{"purpose": purpose, "basis": "consent", "given": True}
                             for purpose in ("application", "recruiting")],
            }
            part = "Content-Disposition: form-data; name="
            body = (f"--b\r\n{part}application\r\nContent-Type: application/json\r\n\r\n{json.dumps(document)}\r\n"
                    f'--b\r\n{part}cv; filename="cv.txt"\r\nContent-Type: text/plain\r\n\r\nI build bridges\n\r\n--b--\r\n')
            headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": email,
                       "Content-Type": "multipart/form-data; boundary=b"}
            self.submit(email, body.encode(), headers)
            self.stopped.wait(self.gap)

    def submit(self, email, body, headers):
        end = time.monotonic() + 90
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=85)
                connection.request("POST", "/v1/applications", body, headers)
                answer = connection.getresponse()
                status, text = answer.status, answer.read().decode(errors="replace")
                connection.close()
            except (OSError, http.client.HTTPException) as error:
                status, text = 0, str(error)
            with self.lock:
                if status == 202:
                    self.accepted[email] = json.loads(text)["id"]
                    return
                self.refused.append(f"{email}: {status} {text}")
            if time.monotonic() > end:
                return
            time.sleep(0.2)


def settled(port, key, emails):
    """What became of everybody's application, once each is where it stays."""
    found, end = {}, time.monotonic() + 900
    while len(found) < len(emails):
        for email in emails:
            if email in found:
                continue
            report = call(port, "POST", "/v1/support/lookup", {"email": email}, key)
            deliveries = [one for submission in report["submissions"] for one in submission["deliveries"]]
            if deliveries and all(one["state"] in ("delivered", "refused", "held", "parked", "cancelled") for one in deliveries):
                found[email] = report["submissions"]
        if time.monotonic() > end:
            open_ones = [email for email in emails if email not in found]
            example = json.dumps(call(port, "POST", "/v1/support/lookup", {"email": open_ones[0]}, key), indent=1)
            raise SystemExit(f"{len(open_ones)} of {len(emails)} are not settled after 900 s, such as:\n{example}")
    return found


def at(text):
    """Microseconds of a timestamp, however many digits its second has."""
    whole, _, rest = text.rstrip("Z").partition(".")
    moment = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return int(moment.timestamp()) * 1_000_000 + int(rest[:6].ljust(6, "0") or 0)


def stops(kept):
    """When a gateway was told to stop, from the logs."""
    times = []
    for log in sorted((kept / "logs").glob("gateway-*")):
        for line in log.read_text(errors="replace").splitlines():
            if '"stopping"' in line:
                times.append(at(json.loads(line)["timestamp"]))
    return times


def judge(page, load, key, restarts):
    port = page.ports
    mistakes = [f"through HAProxy: {text}" for text in load.refused]
    # Asked of the first gateway, whichever took it.
    reports = settled(port["8191"], key, sorted(load.accepted))
    ambiguous = on_the_wire = delivered = 0
    told = stops(page.kept)
    for email, submissions in reports.items():
        if [one["id"] for one in submissions] != [load.accepted[email]]:
            mistakes.append(f"{email}: accepted as {load.accepted[email]}, found {[one['id'] for one in submissions]}")
        deliveries = [delivery for one in submissions for delivery in one["deliveries"]]
        states = [delivery["state"] for delivery in deliveries]
        delivered += states.count("delivered")
        if states != ["delivered", "delivered"]:
            mistakes.append(f"{email}: {states}")
        for attempt in (attempt for delivery in deliveries for attempt in delivery["attempts"]):
            if attempt["is_lookup"] or attempt["class"] in ("unknown", None):
                ambiguous += 1
                mistakes.append(f"{email}: an attempt was ambiguous: {attempt}")
            elif attempt["ended_at"]:
                began, ended = at(attempt["began_at"]), at(attempt["ended_at"])
                on_the_wire += any(began <= moment <= ended for moment in told)
    held = call(port["9101"], "GET", "/_sandbox/records")["applications"]
    contacts = call(port["9102"], "GET", "/_sandbox/records")["contacts"]
    for where, emails in (("the ATS", [one["email"] for one in held]),
                          ("the CRM", [one["properties"].get("email") for one in contacts])):
        for email in load.accepted:
            if emails.count(email) != 1:
                mistakes.append(f"{email}: {emails.count(email)} times at {where}")
    print(f"two-gateways: {len(load.accepted)} accepted, {delivered} of {2 * len(load.accepted)} deliveries delivered, "
          f"{len(load.refused)} answers other than 202, {ambiguous} ambiguous attempts; {restarts} restarts, "
          f"{len(told)} seen in the logs, {on_the_wire} attempts on the wire at one of them")
    if len(load.accepted) < 100 or len(told) < restarts or on_the_wire == 0:
        mistakes.append("too little happened for this to say anything")
    return mistakes


def meet_a_stranger(page):
    """Another program holds Redis' port: `start` does not take it for Redis, and `roll` says what is missing."""
    port = page.ports["6389"]
    with socket.create_server(("127.0.0.1", port)):
        said = page.run("if deploy/two-gateways/start; then exit 1; fi\nif deploy/two-gateways/roll; then exit 1; fi\n")
    if f"127.0.0.1:{port} is taken by another program" not in said or "nothing was started here" not in said:
        raise SystemExit("start does not say that Redis' port is taken, or roll that nothing was started")


def follow(page, arguments):
    start, set_up, people, both, roll, end = page.blocks
    meet_a_stranger(page)
    page.run(start)
    said = page.run(set_up + '\necho "@@key $KEY $JOB"\n')
    key, job = re.search(r"@@key (\S+) (\S+)", said).groups()
    slow = {"replace": True, "rules": [{"operation": "*", "do": "delay", "delay_ms": DELAY_MS}]}
    for sandbox in ("9101", "9102"):
        at_once = {"rate_limit": {"calls": 20_000, "window_ms": 10_000}, "visibility_lag_ms": 100}
        call(page.ports[sandbox], "POST", "/_sandbox/settings", at_once)
    watch = Watch(page)
    page.run(people)
    counts = [int(line.split()[-1]) for line in page.run(both).splitlines() if "causeway_submissions_total" in line]
    if len(counts) != 2 or min(counts) == 0 or sum(counts) != 10:
        raise SystemExit(f"of ten applications both gateways were to take some, and together all: {counts}")
    for sandbox in ("9101", "9102"):
        call(page.ports[sandbox], "POST", "/_sandbox/faults", slow)
    with Load(page.ports["8080"], key, job, arguments.per_second) as load:
        for _ in range(arguments.rolls):
            page.run(roll)
    mistakes = judge(page, load, key, 2 * arguments.rolls) + watch.judge()
    processes = page.processes()
    page.run(end)
    left = [name for name, (pid, began) in processes.items() if runs(pid, began)]
    if left:
        mistakes.append(f"after ./stop these run: {left}")
    return mistakes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--rolls", type=int, default=3)
    parser.add_argument("--per-second", type=float, default=10)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="causeway-two-gateways-"))
    folder.chmod(0o711)  # PostgreSQL's user has to get through
    page = Page(arguments.program, folder)
    try:
        mistakes = follow(page, arguments)
    finally:
        page.end()
    for mistake in mistakes[:20]:
        print(f"two-gateways: {mistake}", file=sys.stderr)
    if mistakes:
        raise SystemExit(f"two-gateways: {len(mistakes)} mistakes")


main()
