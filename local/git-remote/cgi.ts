import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable, Writable } from 'node:stream';
import { securityHeaders } from '../../functions/api/security-headers.ts';
import { messageOf } from '../../functions/runtime/errors.ts';
import type { Log } from '../../functions/runtime/log.ts';
import type { Environment } from './environment.ts';
import { parseHead } from './cgi-head.ts';
import type { Refusal } from './route.ts';

export type CgiCall = {
  readonly command: readonly [string, ...string[]];
  readonly env: Environment;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Whether the program goes on to its end when the client goes away after its whole request has come. */
  readonly finishes: boolean;
  readonly limits: { readonly maxBytes: number; readonly idleMs: number };
  readonly log: Log;
  readonly refuse: (refusal: Refusal) => void;
};

type Backend = ChildProcessByStdio<Writable, Readable, Readable>;

const patienceMs = 5000;
const keptErrorBytes = 4096;

/**
 * Answers a request by a CGI program, streaming both ways no faster than either side takes it. Resolves when the
 * program and what it started have ended: by themselves, or because the client went away, sent too much, or nothing
 * moved for too long.
 */
export async function serveCgi(call: CgiCall): Promise<void> {
  const { command, env, response, log } = call;
  const [file, ...args] = command;
  // In a process group of its own: the program starts others, and all of them have to be ended.
  const backend = spawn(file, args, { env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  let isOver = false;
  const ended = new Promise<string>((resolve) => {
    backend.once('error', (error) => resolve(messageOf(error)));
    backend.once('close', (code, signal) => resolve(String(signal ?? code)));
  }).finally(() => (isOver = true));
  // Never once it is over: its number may be another process's by then.
  const stop = () => void (isOver || end(backend, call.finishes));
  const idle = setTimeout(stop, call.limits.idleMs);
  const moved = () => void (isOver || idle.refresh());
  const errors = keepErrors(backend.stderr);
  const body = feed(call, backend.stdin, { moved, stop });
  response.once('close', () => {
    if (!response.writableFinished && !(call.finishes && body.isWhole())) stop();
  });
  const answered = answer(backend.stdout, response, moved);
  const how = await ended;
  clearTimeout(idle);
  const hasAnswered = await answered;
  if (how !== '0') log.warn('git failed', { how, errors: errors() });
  if (!hasAnswered) call.refuse({ status: 503, text: 'Git could not answer; is "git http-backend" installed here?' });
  else if (how !== '0' && !response.writableFinished) response.destroy();
  else response.end();
}

/** Passes the request's body on; the program may stop reading at any time, and the client may break off. */
function feed(call: CgiCall, stdin: Writable, on: { readonly moved: () => void; readonly stop: () => void }) {
  const { request, response, limits } = call;
  let size = 0;
  let isRefused = false;
  let isWhole = false;
  const refuse = () => {
    isRefused = true;
    // What is not wanted is read all the same, or the client would never come to read the answer.
    request.resume();
  };
  stdin.on('error', refuse);
  stdin.on('drain', () => request.resume());
  request.on('data', (chunk: Buffer) => {
    on.moved();
    const wasFit = size <= limits.maxBytes;
    size += chunk.byteLength;
    if (wasFit && size > limits.maxBytes) {
      refuse();
      on.stop();
      call.refuse({ status: 413, text: 'The push is too large.' });
    }
    if (!isRefused && !stdin.write(chunk)) request.pause();
  });
  request.once('end', () => {
    isWhole = !isRefused;
    stdin.end();
  });
  request.once('close', () => {
    if (!isWhole && !response.writableFinished) stdin.destroy();
  });
  return { isWhole: () => isWhole };
}

/** Passes the program's answer on; true once its head was whole. A client that is gone hears nothing, and stops nothing. */
async function answer(stdout: Readable, response: ServerResponse, moved: () => void): Promise<boolean> {
  let start = Buffer.alloc(0);
  let hasHead = false;
  for await (const chunk of stdout as AsyncIterable<Buffer>) {
    moved();
    if (hasHead) {
      await write(response, chunk);
      continue;
    }
    start = Buffer.concat([start, chunk]);
    const head = parseHead(start);
    if (!head) continue;
    hasHead = true;
    if (response.headersSent || response.destroyed) continue;
    response.writeHead(head.status, { ...securityHeaders({ https: false }), ...head.headers });
    await write(response, head.rest);
  }
  return hasHead;
}

async function write(response: ServerResponse, bytes: Buffer): Promise<void> {
  if (bytes.byteLength === 0 || response.destroyed || response.writableEnded || response.write(bytes)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
  });
}

/**
 * Ends the program with all it started. One that takes a push sees its input end and cleans up: a signal to all of them
 * at once would have one remove a folder in which another still writes. Only what does not end by that is signalled.
 */
function end(backend: Backend, finishes: boolean): void {
  backend.stdin.destroy();
  const terminateMs = finishes ? patienceMs : 0;
  const timers = [
    setTimeout(() => signalGroup(backend, 'SIGTERM'), terminateMs),
    setTimeout(() => signalGroup(backend, 'SIGKILL'), terminateMs + patienceMs),
  ];
  backend.once('close', () => timers.forEach((timer) => clearTimeout(timer)));
}

function signalGroup({ pid }: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended in this very moment.
  }
}

/** The beginning of what the program complains of, for the log. */
function keepErrors(stderr: Readable): () => string {
  let text = '';
  stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(0, keptErrorBytes);
  });
  return () => text.trim();
}
