// Verifies a receipt with nothing but Node: node verify_receipt.mjs RECEIPT KEYS DOCUMENT [FILE ...]
//
//   RECEIPT   the answer of GET /v1/applications/{id}/receipt
//   KEYS      the answer of GET /.well-known/causeway-receipt-keys, fetched from the gateway you trust
//   DOCUMENT  the JSON document, byte for byte as it was sent (the part `application`, where there are files)
//   FILE      the files that were sent with it, in any order
//
// Exit 0: this gateway accepted exactly this, at the time that is printed. Exit 1: it says why not.
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';

const FORMAT = 'causeway receipt v1';
const HASH = /^[0-9a-f]{64}$/;

/** What was signed, byte for byte. Everything in it is checked for its form, so that no value can be two lines. */
function signedText(receipt) {
  const is = (value, form, name) => {
    if (typeof value !== 'string' || !form.test(value)) throw new Error(`${name} has another form`);
    return value;
  };
  if (receipt.format !== FORMAT) throw new Error('the format is not known');
  if (typeof receipt.test !== 'boolean') throw new Error('test has another form');
  if (!Number.isSafeInteger(receipt.received_ms)) throw new Error('received_ms has another form');
  if (!Array.isArray(receipt.files)) throw new Error('files has another form');
  return [
    FORMAT,
    `tenant ${is(receipt.tenant, /^ten_[0-9a-f]{32}$/, 'tenant')}`,
    `application ${is(receipt.application, /^sub_[0-9a-f]{32}$/, 'application')}`,
    `world ${receipt.test ? 'test' : 'real'}`,
    `received ${receipt.received_ms}`,
    `document ${is(receipt.document, HASH, 'document')}`,
    `files ${receipt.files.length}`,
    ...receipt.files.map((file) => `file ${is(file, HASH, 'file')}`),
    '',
  ].join('\n');
}

/** The document's digest is bound to the application and the time. */
function documentDigest(receipt, document) {
  const milliseconds = Buffer.alloc(8);
  milliseconds.writeBigInt64BE(BigInt(receipt.received_ms));
  return createHash('sha256')
    .update(FORMAT)
    .update(Buffer.from(receipt.application.slice('sub_'.length), 'hex'))
    .update(milliseconds)
    .update(document)
    .digest('hex');
}

export function check(receipt, keys, document, files) {
  const text = signedText(receipt);
  const jwk = keys.keys.find((key) => key.kid === receipt.key);
  if (!jwk) throw new Error('the gateway does not list the key that signed');
  const key = createPublicKey({ key: { kty: jwk.kty, crv: jwk.crv, x: jwk.x }, format: 'jwk' });
  if (!verify(null, Buffer.from(text), key, Buffer.from(String(receipt.signature), 'base64'))) {
    throw new Error('the signature is not of this receipt');
  }
  if (new Date(receipt.received_at).getTime() !== receipt.received_ms) throw new Error('received_at is another time');
  if (documentDigest(receipt, document) !== receipt.document) throw new Error('the document is another');
  const hashes = files.map((file) => createHash('sha256').update(file).digest('hex')).sort();
  if (hashes.join() !== receipt.files.join()) throw new Error('the files are others');
}

try {
  const [receipt, keys, document, ...files] = process.argv.slice(2).map((path) => readFileSync(path));
  if (!document) throw new Error('give RECEIPT KEYS DOCUMENT [FILE ...]');
  const told = JSON.parse(receipt);
  check(told, JSON.parse(keys), document, files);
  console.log(`${told.application} was accepted at ${told.received_at}`);
} catch (error) {
  console.error(`not proven: ${error.message}`);
  process.exitCode = 1;
}
