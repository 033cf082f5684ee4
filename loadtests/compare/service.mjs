// What one would write instead of a gateway, honestly and in little: a web process that validates with ajv and publishes
// one persistent, confirmed message per target before it answers, and a worker that delivers each to its vendor and
// writes a row about the attempt before it acknowledges. No idempotency, no encryption, no lookups, no retry schedule.
//
// Usage: node service.mjs web|worker   with one JSON object of settings on standard input. Prints a line when it is ready.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { randomUUID } from 'node:crypto';
import amqp from 'amqplib';
import express from 'express';
import pg from 'pg';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const QUEUES = { ats: 'compare.ats', crm: 'compare.crm' };
const settings = JSON.parse(readFileSync(0, 'utf8'));

async function channel(confirming) {
  const connection = await amqp.connect(settings.amqp);
  const channel = confirming ? await connection.createConfirmChannel() : await connection.createChannel();
  for (const queue of Object.values(QUEUES)) {
    await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
  }
  return channel;
}

async function web() {
  const ajv = new Ajv({ allErrors: false, strict: false, validateFormats: true });
  addFormats(ajv);
  const validate = ajv.compile(JSON.parse(readFileSync(settings.schema, 'utf8')));
  const to = await channel(true);
  const publish = (queue, body) =>
    new Promise((done, failed) => {
      to.sendToQueue(queue, body, { persistent: true, mandatory: true }, (error) => (error ? failed(error) : done()));
    });
  const app = express();
  app.disable('x-powered-by');
  app.post('/v1/applications', express.json({ limit: '2mb' }), async (request, response) => {
    if (request.get('authorization') !== `Bearer ${settings.key}`) return response.status(401).json({ code: 'unauthorised' });
    if (!validate(request.body)) return response.status(422).json({ code: 'invalid', errors: validate.errors });
    const id = randomUUID();
    const body = Buffer.from(JSON.stringify({ id, application: request.body }));
    try {
      await Promise.all(Object.values(QUEUES).map((queue) => publish(queue, body)));
    } catch {
      return response.status(503).json({ code: 'unavailable' });
    }
    return response.status(202).json({ id });
  });
  const server = app.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

function call(base, method, path, headers, body) {
  return new Promise((done, failed) => {
    const bytes = Buffer.from(JSON.stringify(body));
    const request = http.request(
      new URL(path, base),
      { method, agent, timeout: 30_000, headers: { ...headers, 'content-type': 'application/json', 'content-length': bytes.length } },
      (response) => {
        const parts = [];
        response.on('data', (part) => parts.push(part));
        response.on('end', () => {
          const text = Buffer.concat(parts).toString();
          let value = null;
          try {
            value = JSON.parse(text);
          } catch {}
          done({ status: response.statusCode, value });
        });
        response.on('error', failed);
      },
    );
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', failed);
    request.end(bytes);
  });
}

async function toAts({ application }) {
  const { person, answers = [] } = application;
  const body = {
    first_name: person.name.given,
    last_name: person.name.family,
    email: person.emails[0].address,
    phone: person.phones?.[0]?.raw,
  };
  for (const answer of answers) {
    body[answer.question] = answer.value ?? answer.option?.id ?? answer.options?.map((option) => option.id);
  }
  const authorization = `Basic ${Buffer.from(`${settings.ats.key}:`).toString('base64')}`;
  return call(settings.ats.url, 'POST', `/v1/boards/${settings.ats.token}/jobs/${application.job}`, { authorization }, body);
}

async function toCrm({ id, application }) {
  const { person, job } = application;
  const headers = { authorization: `Bearer ${settings.crm.token}` };
  const properties = { email: person.emails[0].address, firstname: person.name.given, lastname: person.name.family };
  const contact = await call(settings.crm.url, 'POST', '/crm/v3/objects/contacts', headers, { properties });
  if (contact.status !== 201) return contact;
  const ticket = {
    properties: { subject: `Application for ${job}`, content: id, hs_pipeline: '0', hs_pipeline_stage: '1' },
    associations: [{ to: { id: contact.value.id }, types: [{ associationCategory: 'HUBSPOT_DEFINED', associationTypeId: 16 }] }],
  };
  return call(settings.crm.url, 'POST', '/crm/v3/objects/tickets', headers, ticket);
}

async function worker() {
  const pool = new pg.Pool({ connectionString: settings.postgres, max: 10 });
  await pool.query(
    'CREATE TABLE IF NOT EXISTS attempts (id bigserial PRIMARY KEY, application uuid NOT NULL, target text NOT NULL, status int, took_ms int NOT NULL, at timestamptz NOT NULL DEFAULT now())',
  );
  const from = await channel(false);
  await from.prefetch(64);
  const deliver = async (target, message) => {
    const work = JSON.parse(message.content.toString());
    const begun = Date.now();
    let status = 0;
    try {
      ({ status } = await (target === 'ats' ? toAts(work) : toCrm(work)));
    } catch {}
    await pool.query({
      name: 'attempt',
      text: 'INSERT INTO attempts (application, target, status, took_ms) VALUES ($1, $2, $3, $4)',
      values: [work.id, target, status, Date.now() - begun],
    });
    // Given back, it comes again at once: there is no schedule.
    if (status >= 200 && status < 300) from.ack(message);
    else from.nack(message, false, status === 0 || status >= 500);
  };
  for (const [target, queue] of Object.entries(QUEUES)) {
    await from.consume(queue, (message) => deliver(target, message));
  }
  console.log('{}');
}

await (process.argv[2] === 'web' ? web() : worker());
