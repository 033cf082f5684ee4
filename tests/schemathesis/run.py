"""Holds the built program against its own document, with schemathesis.

    run.py PROGRAM SCHEMATHESIS [--examples N] [--only NAME]

Starts the sandboxes and a gateway with an embedded store on free loopback ports, reads all postings, makes keys, and asks
every route of both listeners what the document allows and what it does not: with a secret key, with a publishable key from
its page, and with none. Every check is on; what a check has to be told is in `schemathesis.toml`, with the reason. Exit
code 0: no failure and no 5xx in any run. It knows the command line and the documents, and nothing of the inside.
"""

import argparse
import concurrent.futures
import functools
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
ORIGIN = "https://jobs.example.org"
SEED = 20261122
# Vendors, their role, and what becomes of an application that only they object to: both policies are asked.
VENDORS = [("greenhouse", "ats", "reject"), ("ashby", "ats", "hold"), ("hubspot", "crm", "reject")]
# High enough that no run is about quotas; what is answered above one is the gateway's own tests' business.
ENVIRONMENT = {
    "CAUSEWAY_LOG_FILTER": "warn",
    "CAUSEWAY_LIMITS_ADDRESS_PER_SECOND": "10000",
    "CAUSEWAY_LIMITS_ADDRESS_BURST": "100000",
    "CAUSEWAY_LIMITS_QUOTA_PER_SECOND": "10000",
    "CAUSEWAY_LIMITS_QUOTA_BURST": "100000",
    "CAUSEWAY_LIMITS_CONNECTIONS_PER_ADDRESS": "4096",
}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Stage:
    """Sandboxes, a tenant with an account at each, keys, and a gateway that serves it all."""

    def __init__(self, program, folder):
        self.program, self.folder, self.children = program, folder, []
        self.environment = {**os.environ, **ENVIRONMENT, "CAUSEWAY_DATA_DIR": str(folder / "data")}
        self.public, self.management = free_port(), free_port()

    def ask(self, *arguments, given=""):
        ran = subprocess.run([self.program, *arguments, "--json"], input=given, text=True, capture_output=True,
                             env=self.environment, timeout=120)
        if ran.returncode != 0:
            raise SystemExit(f"causeway {' '.join(arguments)}: {ran.stdout}{ran.stderr}")
        return json.loads(ran.stdout)

    def set_up(self):
        self.ask("keys", "init-root")
        self.ask("tenants", "create", "acme")
        for name, role, on_invalid in VENDORS:
            self.add_account(name, role, on_invalid)
        secret = self.ask("keys", "create", "--name", "everything", "--scope", "submit,read,feed,support,privacy")
        page = self.ask("keys", "create", "--name", "page", "--publishable", "--origin", ORIGIN)
        for name, role, _ in VENDORS:
            if role == "ats":
                self.ask("jobs", "sync", name)
        return secret["text"], page["text"]

    def add_account(self, name, role, on_invalid):
        vendor = subprocess.Popen([self.program, "sandbox", name], stdout=subprocess.PIPE, text=True)
        self.children.append(vendor)
        told = json.loads(vendor.stdout.readline())
        arguments = ["accounts", "add", name, "--role", role, "--allow-private", "--on-invalid", on_invalid]
        for setting, value in told["settings"].items():
            arguments += ["--set", f"{setting}={value if isinstance(value, str) else json.dumps(value)}"]
        given = ""
        for secret, value in told["credentials"].items():
            arguments += ["--secret", f"{secret}=-"]
            given += f"{value}\n"
        self.ask(*arguments, given=given)

    def serve(self):
        listen = {"CAUSEWAY_LISTEN_PUBLIC": f"127.0.0.1:{self.public}",
                  "CAUSEWAY_LISTEN_MANAGEMENT": f"127.0.0.1:{self.management}"}
        log = open(self.folder / "gateway.log", "wb")
        self.children.append(subprocess.Popen([self.program, "serve"], env={**self.environment, **listen},
                                              stdout=subprocess.DEVNULL, stderr=log))

    def get(self, port, path, key=None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    def until(self, what, probe, limit=90):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if any(child.poll() is not None for child in self.children):
                raise SystemExit(f"a process ended: {(self.folder / 'gateway.log').read_text()}")
            try:
                if probe():
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit(f"waited {limit} s for {what}")

    def jobs_with_forms(self, key):
        """Every open job, once its questions are there."""
        jobs = [job["id"] for job in json.loads(self.get(self.public, "/v1/jobs", key)[1])["jobs"]]
        complete = lambda job: json.loads(self.get(self.public, f"/v1/jobs/{job}/form", key)[1])["complete"]
        self.until("the jobs' forms", lambda: all(complete(job) for job in jobs))
        return jobs

    def apply(self, key, jobs):
        """A few people apply, so that there is something to look up; who applied, and what became of it."""
        known = {"jobs": jobs, "emails": [], "submission": [], "after": [], "delivery": []}
        for number, job in enumerate(jobs):
            email = f"person{number}@example.org"
            document = {
                "job": job,
                "person": {"name": {"given": "Ada", "family": "Fictional"}, "emails": [{"address": email}],
                           "phones": [{"raw": "+44 20 7946 0000"}],
                           "location": {"text": "London", "lat": 51.5, "lng": -0.13}},
                "attachments": [{"id": "cv", "kind": "resume", "name": "cv.txt", "media_type": "text/plain", "size": 16}],
                "consents": [{"purpose": "recruiting", "basis": "consent", "given": True}],
            }
            if self.submit(key, document) != 202:
                continue
            report = self.ask("why", "--email", "-", given=f"{email}\n")["submissions"][0]
            known["emails"].append(email)
            known["submission"].append(report["id"])
            known["delivery"] += [delivery["id"] for delivery in report["deliveries"]]
        if len(known["emails"]) < 3:
            raise SystemExit("fewer than three jobs took a plain application")
        return known

    def submit(self, key, document):
        part = 'Content-Disposition: form-data; name='
        body = (f'--b\r\n{part}application\r\nContent-Type: application/json\r\n\r\n{json.dumps(document)}\r\n'
                f'--b\r\n{part}cv; filename="cv.txt"\r\nContent-Type: text/plain\r\n\r\nI build bridges\n\r\n--b--\r\n')
        connection = http.client.HTTPConnection("127.0.0.1", self.public, timeout=30)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "multipart/form-data; boundary=b"}
        connection.request("POST", "/v1/applications", body.encode(), headers)
        status = connection.getresponse().status
        connection.close()
        return status

    def end(self):
        for child in reversed(self.children):
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            child.wait(timeout=60)


def runs(stage, secret, page):
    """Name, port, headers: who asks which listener."""
    bearer = lambda key: [f"Authorization: Bearer {key}"]
    return [
        ("secret", stage.public, bearer(secret)),
        ("publishable", stage.public, [*bearer(page), f"Origin: {ORIGIN}"]),
        ("keyless", stage.public, []),
        ("management-secret", stage.management, bearer(secret)),
        ("management-keyless", stage.management, []),
    ]


def ask_one(arguments, config, environment, folder, run):
    name, port, headers = run
    command = [arguments.schemathesis, "--config-file", str(config), "run", f"http://127.0.0.1:{port}/v1/openapi.json",
               "--seed", str(SEED), "--max-examples", str(arguments.examples), "--workers", "1", "--warnings", "off"]
    for header in headers:
        command += ["--header", header]
    if arguments.keep:
        command += ["--report", "ndjson", "--report-ndjson-path", str(arguments.keep / f"{name}.ndjson")]
    place = folder / name
    place.mkdir()
    return subprocess.run(command, env=environment, cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("schemathesis")
    parser.add_argument("--examples", type=int, default=25)
    parser.add_argument("--only")
    parser.add_argument("--keep", type=lambda path: pathlib.Path(path).resolve(), help="a folder for what was asked and answered")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        stage = Stage(arguments.program, folder)
        failed = []
        try:
            secret, page = stage.set_up()
            stage.serve()
            stage.until("the gateway", lambda: stage.get(stage.management, "/readyz")[0] == 200)
            jobs = stage.jobs_with_forms(secret)
            config = folder / "schemathesis.toml"
            known = stage.apply(secret, jobs)
            dictionaries = {"jobs": jobs, "applications": known["submission"], "origins": [ORIGIN]}
            config.write_text((HERE / "schemathesis.toml").read_text() + "".join(
                f"\n[dictionaries.{name}]\nvalues = {json.dumps(values)}\n" for name, values in dictionaries.items()))
            environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE),
                           "CAUSEWAY_KNOWN": json.dumps(known)}
            chosen = [run for run in runs(stage, secret, page) if arguments.only in (None, run[0])]
            ask = functools.partial(ask_one, arguments, config, environment, folder)
            # Making requests up is what takes the time: one run a core.
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                for name, ran in zip([run[0] for run in chosen], pool.map(ask, chosen)):
                    print(f"-- {name}\n{ran.stdout}", flush=True)
                    if ran.returncode != 0:
                        failed.append(name)
            answered = stage.get(stage.management, "/metrics")[1].decode()
            stage.until("the gateway to be well", lambda: stage.get(stage.management, "/readyz")[0] == 200)
        finally:
            stage.end()
        print_figures(answered, failed)
        return 1 if failed or server_errors(answered) else 0


def server_errors(metrics):
    found = re.findall(r'causeway_http_requests_total\{[^}]*status="5\d\d"[^}]*\} (\d+)', metrics)
    return sum(map(int, found))


def print_figures(metrics, failed):
    found = re.findall(r"causeway_http_requests_total\{[^}]*\} (\d+)", metrics)
    print(json.dumps({"requests": sum(map(int, found)), "server_errors": server_errors(metrics), "failed_runs": failed}))


if __name__ == "__main__":
    sys.exit(main())
