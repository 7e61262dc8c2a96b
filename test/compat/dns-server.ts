// A DNS server on a loopback address, port 53, that answers SRV and A from two tables and knows no
// other name. This file refuses to know who asks.
import { createSocket, type Socket } from 'node:dgram';

const [A, SRV] = [1, 33];
const NO_SUCH_NAME = 3;
const ANSWER = 0x8400;
const HEAD_BYTES = 12;

export interface Answers {
  readonly srv: Readonly<Record<string, readonly (Target | undefined)[]>>;
  /** An empty address: the name is there, and has none. */
  readonly a: Readonly<Record<string, string>>;
}

export interface Target {
  readonly target: string;
  readonly port: number;
}

export class DnsServer {
  readonly address: string;
  answers: Answers = { srv: {}, a: {} };
  readonly #socket: Socket;

  private constructor(socket: Socket, address: string) {
    this.#socket = socket;
    this.address = address;
    socket.on('message', (query, { port, address: asker }) => {
      socket.send(this.#answer(query), port, asker);
    });
  }

  static listen(address: string): Promise<DnsServer> {
    const socket = createSocket('udp4');
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(53, address, () => resolve(new DnsServer(socket, address)));
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  #answer(query: Buffer): Buffer {
    const { name, end } = nameAt(query);
    const type = query.readUInt16BE(end);
    const { srv, a } = this.answers;
    const isKnown = name in srv || name in a;
    const data = type === SRV ? (srv[name] ?? []).map(srvData) : type === A ? aData(a[name]) : [];
    const head = Buffer.alloc(HEAD_BYTES);
    head.writeUInt16BE(query.readUInt16BE(0), 0);
    head.writeUInt16BE(ANSWER | (query.readUInt16BE(2) & 0x100) | (isKnown ? 0 : NO_SUCH_NAME), 2);
    head.writeUInt16BE(1, 4);
    head.writeUInt16BE(data.length, 6);
    const question = query.subarray(HEAD_BYTES, end + 4);
    return Buffer.concat([head, question, ...data.map((each) => record(type, each))]);
  }
}

function nameAt(query: Buffer): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let at = HEAD_BYTES;
  for (let size = query[at] ?? 0; size > 0; size = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + size).toLowerCase());
    at += 1 + size;
  }
  return { name: labels.join('.'), end: at + 1 };
}

/** A record about the name that was asked for. */
function record(type: number, data: Buffer): Buffer {
  const head = Buffer.from([0xc0, HEAD_BYTES, 0, type, 0, 1, 0, 0, 0, 0, 0, 0]);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function srvData(target: Target | undefined): Buffer {
  const { target: name, port } = target ?? { target: '', port: 0 };
  const labels = name
    .split('.')
    .map((each) => Buffer.from(`${String.fromCharCode(each.length)}${each}`));
  const head = Buffer.alloc(6);
  head.writeUInt16BE(port, 4);
  return Buffer.concat([head, ...labels, Buffer.alloc(1)]);
}

function aData(address: string | undefined): Buffer[] {
  return address ? [Buffer.from(address.split('.').map(Number))] : [];
}
