// A career site's side of webhooks, with nothing but Node: verifies each signature as Standard Webhooks describes it and
// appends a line per webhook to FOLDER/got. FOLDER/secret holds the secret; FOLDER/answer, if there, the status to answer.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const [folder, port] = process.argv.slice(2);
const TOLERANCE = 5 * 60; // seconds

function verify(secret, headers, body) {
  const id = headers['webhook-id'];
  const timestamp = headers['webhook-timestamp'];
  if (!id || !/^\d+$/.test(timestamp ?? '')) return false;
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
  return (headers['webhook-signature'] ?? '').split(' ').some((one) => {
    const [version, signature] = one.split(',');
    const given = Buffer.from(signature ?? '', 'base64');
    return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
  });
}

const server = createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = Buffer.concat(chunks);
    const secret = readFileSync(`${folder}/secret`, 'utf8').trim();
    const verified = verify(secret, request.headers, body);
    const wanted = existsSync(`${folder}/answer`) ? Number(readFileSync(`${folder}/answer`, 'utf8')) : 204;
    const status = verified ? wanted : 401;
    const told = verified ? JSON.parse(body) : null;
    appendFileSync(`${folder}/got`, `${JSON.stringify({ id: request.headers['webhook-id'], status, told })}\n`);
    response.writeHead(status).end();
  });
});
server.listen(Number(port), '127.0.0.1', () => console.log('listening'));
