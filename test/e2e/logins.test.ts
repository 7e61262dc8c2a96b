// Logins cost tens of milliseconds of computing each. Many at once must hold up nobody else: not
// the loop, and not the syncs of the log, which use the same threads.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { nodeCommand } from '../compat/binaries.ts';
import { GrpcClient } from '../compat/client.ts';
import { decode, type Message, method } from '../compat/proto.ts';
import { Server } from '../compat/servers.ts';
import { metadataOf } from '../compat/side.ts';

const LOGINS_AT_ONCE = 40;
const PUTS = 400;
/** An election timeout: who is silent for so long is no leader any more. */
const PUT_MS_MAX = 1000;
const LOGIN = { name: 'root', password: 'p' };

let server: Server;
let client: GrpcClient;

beforeAll(async () => {
  server = await Server.start({ label: 'server', command: nodeCommand() });
  client = new GrpcClient(server.endpoint, 120_000);
  const steps: readonly (readonly [string, Message])[] = [
    ['Auth/UserAdd', LOGIN],
    ['Auth/RoleAdd', { name: 'root' }],
    ['Auth/UserGrantRole', { user: 'root', role: 'root' }],
    ['Auth/AuthEnable', {}],
  ];
  for (const [name, request] of steps) expect((await client.unary(name, request)).code).toBe(0);
}, 60_000);

afterAll(async () => {
  client.close();
  await server.close();
});

async function login(): Promise<string> {
  const { code, messages } = await client.unary('Auth/Authenticate', LOGIN);
  expect(code).toBe(0);
  const answer = decode(method('Auth/Authenticate').response, messages[0] ?? Buffer.alloc(0));
  return String(answer['token']);
}

/** Milliseconds of each put, one after the other. */
async function puts(token: string): Promise<number[]> {
  const writer = new GrpcClient(server.endpoint);
  const times: number[] = [];
  try {
    for (let i = 0; i < PUTS; i++) {
      const began = performance.now();
      const request = { key: Buffer.from(`k${i}`), value: Buffer.from('v') };
      const { code } = await writer.unary('KV/Put', request, metadataOf({ token }));
      expect(code).toBe(0);
      times.push(performance.now() - began);
    }
  } finally {
    writer.close();
  }
  return times.sort((a, b) => a - b);
}

it('other requests are answered while many log in', { timeout: 120_000 }, async () => {
  const token = await login();
  const quiet = await puts(token);
  let logins = 0;
  let busy = true;
  const keepOn = async (): Promise<void> => {
    while (busy) {
      await login();
      logins++;
    }
  };
  const all = Promise.all(Array.from({ length: LOGINS_AT_ONCE }, keepOn));
  const loud = await puts(token);
  busy = false;
  await all;
  const show = (times: number[]): string =>
    [0.5, 0.99, 1].map((part) => times[Math.ceil(part * PUTS) - 1]?.toFixed(1)).join(' / ');
  console.log(
    `put, ms p50 / p99 / max: alone ${show(quiet)}, beside ${logins} logins ${show(loud)}`,
  );
  expect(logins).toBeGreaterThan(LOGINS_AT_ONCE);
  expect(loud.at(-1)).toBeLessThan(PUT_MS_MAX);
});
