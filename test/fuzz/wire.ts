/**
 * Connections of an attacker: they send what they are told to, at a bounded rate, hear what comes
 * and never complain. Every one ends by itself after a while.
 */

import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface Door {
  readonly port: number;
  readonly isTls: boolean;
}

const LIFE_MS_MAX = 20_000;
const DIAL_MS_MAX = 10_000;

export class Wire {
  readonly socket: Socket;
  readonly opened: Promise<boolean>;
  readonly closed: Promise<void>;
  received = 0;

  constructor({ port, isTls }: Door, alpn: readonly string[] = []) {
    const where = { host: '127.0.0.1', port };
    this.socket = isTls
      ? connectTls({ ...where, rejectUnauthorized: false, ALPNProtocols: [...alpn] })
      : connectTcp(where);
    const { socket } = this;
    this.opened = new Promise((resolve) => {
      const late = setTimeout(() => resolve(false), DIAL_MS_MAX);
      const tell = (isOpen: boolean) => () => {
        clearTimeout(late);
        resolve(isOpen);
      };
      socket.once(isTls ? 'secureConnect' : 'connect', tell(true));
      socket.once('close', tell(false));
    });
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.received += chunk.length;
    });
    const life = setTimeout(() => socket.destroy(), LIFE_MS_MAX);
    socket.once('close', () => clearTimeout(life));
  }

  /** Resolves when the other end has taken it, or is gone. */
  async send(bytes: Buffer): Promise<void> {
    const { socket } = this;
    if (!socket.writable) return;
    if (socket.write(bytes)) return;
    await Promise.race([
      new Promise<void>((resolve) => socket.once('drain', () => resolve())),
      this.closed,
      pause(1000),
    ]);
  }

  /** Until something has come back, the other end has hung up, or the time is over. */
  async heard(ms: number): Promise<void> {
    if (this.socket.destroyed) return;
    await Promise.race([
      new Promise<void>((resolve) => this.socket.once('data', () => resolve())),
      this.closed,
      pause(ms),
    ]);
  }

  end(): void {
    this.socket.destroy();
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
