// One member's gRPC API as the tests call it: requests and answers as plain messages, and every
// outcome within a bound. This file refuses to know what is asked.

import { type BidiStream, GrpcClient } from '../../compat/client.ts';
import { decode, type Message, method } from '../../compat/proto.ts';

/** No answer in that time is none. */
const CALL_MS_MAX = 5_000;

export type Reply =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly code: number; readonly text: string };

export class Api {
  readonly #client: GrpcClient;

  constructor(endpoint: string, callMsMax = CALL_MS_MAX) {
    this.#client = new GrpcClient(endpoint, callMsMax);
  }

  async call(name: string, request: Message): Promise<Reply> {
    const { code, text, messages } = await this.#client.unary(name, request);
    if (code !== 0) return { ok: false, code, text };
    const bytes = messages[0] ?? Buffer.alloc(0);
    return { ok: true, message: decode(method(name).response, bytes) };
  }

  /** The answer; throws when there is none. */
  async must(name: string, request: Message): Promise<Message> {
    const reply = await this.call(name, request);
    if (reply.ok) return reply.message;
    throw new Error(`${name} ${JSON.stringify(request)}: ${reply.code} ${reply.text}`);
  }

  watch(): BidiStream {
    return this.#client.bidi('Watch/Watch');
  }

  close(): void {
    this.#client.close();
  }
}

export interface Header {
  readonly memberId: string;
  readonly revision: number;
  readonly raftTerm: number;
}

export function headerOf(message: Message): Header {
  const header = (message['header'] ?? {}) as Message;
  return {
    memberId: String(header['member_id'] ?? ''),
    revision: Number(header['revision'] ?? 0),
    raftTerm: Number(header['raft_term'] ?? 0),
  };
}
