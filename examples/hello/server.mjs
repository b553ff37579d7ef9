// A small web app with nothing but Node: it shows its version and counts what it serves.
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';

const here = (name) => new URL(name, import.meta.url);
const port = Number(process.env.PORT ?? 3000);
const version = process.env.HELLO_VERSION ?? readFileSync(here('version.txt'), 'utf8').trim();
/** The health check fails when the environment says so, or a commit brings a file named BROKEN: the gate must hold it. */
const broken = process.env.HELLO_BROKEN === 'true' || existsSync(here('BROKEN'));
const startedAt = new Date();
const streams = new Set();
let served = 0;
let stopping = false;

const routes = { '/': home, '/health': health, '/count': count, '/slow': slow, '/events': events };

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://hello');
  response.setHeader('x-hello-version', version);
  response.on('finish', () => stopping && request.socket.end());
  if (request.method !== 'GET' && request.method !== 'HEAD') return json(response, 405, { error: 'GET only' });
  const route = Object.hasOwn(routes, url.pathname) ? routes[url.pathname] : undefined;
  if (!route) return json(response, 404, { error: `there is nothing at ${url.pathname}` });
  if (route !== health) served += 1;
  Promise.resolve(route(request, response, url)).catch((error) => {
    console.error(error);
    response.destroy();
  });
});

function facts() {
  return { app: 'hello', version, served, startedAt: startedAt.toISOString(), pid: process.pid };
}

function home(request, response) {
  if (!(request.headers.accept ?? '').includes('text/html')) return json(response, 200, facts());
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  response.end(page());
}

function health(_request, response) {
  json(response, broken ? 503 : 200, { status: broken ? 'broken' : 'ok', version });
}

function count(_request, response) {
  json(response, 200, { version, served });
}

/** Takes its time, as a report or an upload does: a deployment must let it finish. */
async function slow(_request, response, url) {
  const seconds = Math.min(Math.max(Number(url.searchParams.get('seconds') ?? 3) || 0, 0), 60);
  await pause(seconds * 1000);
  json(response, 200, { version, seconds });
}

/** Server-sent events, one a second, until the client goes or the task is told to stop. */
function events(request, response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  const send = () => response.write(`data: ${JSON.stringify({ version, served, at: new Date().toISOString() })}\n\n`);
  send();
  const timer = setInterval(send, 1000);
  streams.add(response);
  request.on('close', () => {
    clearInterval(timer);
    streams.delete(response);
  });
}

function json(response, status, body) {
  if (stopping) response.setHeader('connection', 'close');
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(`${JSON.stringify(body)}\n`);
}

function page() {
  const shown = (text) => String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  // A colour of its own for each version, so that a roll-out can be seen from across the room.
  const hue = [...version].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 360, 7);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>hello ${shown(version)}</title>
<style>
  body { margin: 0; min-height: 100vh; display: grid; place-content: center; text-align: center;
         font: 1.1rem system-ui, sans-serif; color: #fff; background: hsl(${hue} 55% 35%); }
  h1 { font-size: clamp(3rem, 15vw, 9rem); margin: 0; }
</style>
<h1>${shown(version)}</h1>
<p>Served ${served} times since ${startedAt.toISOString()} by process ${process.pid}.</p>
</html>
`;
}

/** Takes no more, lets what runs finish, and ends; who drains us first finds nothing left to wait for. */
function stop(signal) {
  console.log(`${signal}: finishing what runs`);
  stopping = true;
  server.close(() => process.exit(0));
  server.closeIdleConnections();
  for (const stream of streams) stream.end();
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);

server.listen(port, () => console.log(`hello ${version} listens on ${port}${broken ? ', and is broken' : ''}`));
