/** Connections that say nothing, half of it or something else: plain ones and TLS handshakes. */

import { connect } from 'node:net';
import type { Attack, AttackContext } from './attack.ts';
import { mutate, noise } from './messages.ts';
import { type Door, pause, Wire } from './wire.ts';

const AT_ONCE = 1500;
const HOLD_MS = 1500;

/** Thousands of connections that stay silent or stop after a few bytes. */
export const halfOpen: Attack = async (context) => {
  const { random } = context;
  const door = anyDoor(context);
  const wires: Wire[] = [];
  for (let i = 0; i < AT_ONCE; i++) {
    const wire = new Wire({ ...door, isTls: false });
    wires.push(wire);
    if (i % 50 === 49) await pause(5);
  }
  await Promise.all(wires.map(({ opened }) => opened));
  const begin = random.pick([Buffer.alloc(0), Buffer.from('PRI * H'), Buffer.from('GET /'), HELLO]);
  if (begin.length > 0) for (const wire of wires) await wire.send(begin.subarray(0, 20));
  await pause(HOLD_MS);
  for (const wire of wires) wire.end();
  return wires.length;
};

/** The first bytes of a TLS 1.2 handshake, announcing more than there is. */
const HELLO = Buffer.from(
  '16030100c8010000c40303000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f',
  'hex',
);

/** Bytes that are no TLS, or nearly. */
export const tlsGarbage: Attack = async (context) => {
  const { random } = context;
  const door = anyDoor(context);
  const hello = await firstBytes(door);
  let sent = 0;
  for (; sent < 30; sent++) {
    const wire = new Wire({ ...door, isTls: false });
    if (!(await wire.opened)) continue;
    const bytes = random.weighted({ changed: 5, right: 2, noise: 1, alert: 1 });
    await wire.send(
      {
        changed: mutate(random, hello),
        right: hello,
        noise: noise(random, random.below(2000)),
        alert: Buffer.from([0x15, 3, 3, 0, 2, 2, random.below(120)]),
      }[bytes],
    );
    if (random.chance(50)) await wire.heard(10);
    if (random.chance(50)) await wire.send(noise(random, random.below(500)));
    wire.end();
  }
  return sent;
};

/** Within TLS, after a handshake that is right: bytes that are neither HTTP. */
export const tlsInside: Attack = async (context) => {
  const { random } = context;
  const door = anyDoor(context);
  let sent = 0;
  for (; sent < 10; sent++) {
    const wire = new Wire(door, random.pick([['h2'], ['http/1.1'], ['nonsense'], []]));
    if (!(await wire.opened)) continue;
    await wire.send(noise(random, random.below(3000)));
    await wire.heard(10);
    wire.end();
  }
  return sent;
};

function anyDoor({ random, client, peer }: AttackContext): Door {
  return random.chance(60) ? client : peer.door;
}

let recorded: Buffer | null = null;

/** What Node's own client says first. */
async function firstBytes(door: Door): Promise<Buffer> {
  if (recorded !== null) return recorded;
  const { createServer } = await import('node:net');
  const { connect: connectTls } = await import('node:tls');
  recorded = await new Promise<Buffer>((resolve) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (bytes: Buffer) => {
        socket.destroy();
        server.close();
        resolve(bytes);
      });
    });
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      const raw = connect(port, '127.0.0.1');
      raw.on('error', () => undefined);
      connectTls({ socket: raw, rejectUnauthorized: false }).on('error', () => undefined);
    });
  });
  return door.isTls ? recorded : Buffer.from(recorded);
}
