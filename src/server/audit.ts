/**
 * The audit log: one JSON line for every request of a client that was decided, with who asked, from
 * where, for what, and with which outcome. An extension that is off unless it is asked for.
 *
 * Safety: fields are named one by one that may be told (`TOLD`), so values, passwords, hashes and
 * tokens never are. A line is with the operating system before its request is answered. One that
 * cannot be written is counted and told in the log, and its request is served: a full disk must not
 * become an outage.
 *
 * Limits: limits.auditRequestBytesMax bytes of one request, limits.auditFiles* for the files. It
 * does not see other members' requests, and not the health and metrics endpoints.
 */

import { methodSchemas } from '../codec/gen/schema.ts';
import { jsonFromWire } from '../codec/json.ts';
import { DecodeError } from '../codec/wire.ts';
import { Code, EtcdError } from '../errors.ts';
import { limits } from '../limits.ts';
import type { Log } from '../log.ts';
import { RotatedFile } from '../log-rotation.ts';
import type { Caller, StreamMethod, UnaryMethod } from './rpc.ts';
import type { RpcGate } from './rpc-gate.ts';

export interface AuditDeps {
  /** Throws when the line cannot be written. */
  readonly write: (line: string) => void;
  /** The name that a caller goes by; '' for none. */
  readonly nameOf: (caller: Caller) => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly log: Log;
}

/** Where lines go. */
export interface AuditFile {
  readonly write: (line: string) => void;
  close(): void;
}

/** `null` without a path. Throws when the file cannot be written. */
export function openAuditFile(path: string, name: string, log: Log): AuditFile | null {
  if (path === '') return null;
  const rotation = {
    maxSize: limits.auditFileMibMax,
    maxBackups: limits.auditFilesMax,
    maxAge: 0,
    localTime: false,
    compress: false,
  };
  const file = new RotatedFile(path, rotation, (error) =>
    log.warn('rotated audit files are not in order', { error: String(error) }),
  );
  const write = (line: string): void => file.write(Buffer.from(line, 'utf8'));
  write(`${JSON.stringify({ time: new Date().toISOString(), event: 'opened', member: name })}\n`);
  return { write, close: () => file.close() };
}

type Method = UnaryMethod | StreamMethod;

/** The same gate, which tells of every call that passes it or is refused. */
export function audited(gate: RpcGate, deps: AuditDeps): RpcGate {
  return {
    ...gate,
    unary(method, request, caller) {
      const record = recordOf(deps, method, caller);
      const succeed = (answer: Uint8Array): Uint8Array => {
        tell(deps, record, { request, code: Code.OK });
        return answer;
      };
      const fail = (error: unknown): never => {
        tell(deps, record, { request, code: codeOf(error) });
        throw error;
      };
      try {
        const answer = gate.unary(method, request, caller);
        return answer instanceof Promise ? answer.then(succeed, fail) : succeed(answer);
      } catch (error) {
        return fail(error);
      }
    },
    stream(method, caller, output) {
      const record = recordOf(deps, method, caller);
      const attempt = <T>(request: Uint8Array | null, run: () => T): T => {
        try {
          return run();
        } catch (error) {
          tell(deps, record, { request, code: codeOf(error) });
          throw error;
        }
      };
      const seen = {
        send: (response: Uint8Array) => output.send(response),
        get bufferedBytes() {
          return output.bufferedBytes;
        },
        onDrain: (fn: () => void) => output.onDrain(fn),
        end(error: EtcdError | null) {
          if (error !== null) tell(deps, record, { request: null, code: error.code });
          output.end(error);
        },
      };
      const input = attempt(null, () => gate.stream(method, caller, seen));
      return {
        message(request) {
          attempt(request, () => input.message(request));
          tell(deps, record, { request, code: Code.OK });
        },
        halfClose: () => input.halfClose(),
        close: () => input.close(),
      };
    },
  };
}

interface Record {
  readonly user: string;
  readonly remote: string;
  readonly method: Method;
}

/** Who calls is looked at before the call: it may be the one that ends the token. */
function recordOf({ nameOf }: AuditDeps, method: Method, caller: Caller): Record {
  return { user: nameOf(caller), remote: caller.address ?? '', method };
}

function tell(
  { write, now, log }: AuditDeps,
  { user, remote, method }: Record,
  { request, code }: { readonly request: Uint8Array | null; readonly code: Code },
): void {
  const line = {
    time: new Date(now()).toISOString(),
    user,
    remote,
    method: `/${method.service}/${method.name}`,
    ...(request === null ? {} : requestFields(method, request)),
    code: CODE_NAMES.get(code) ?? code,
  };
  try {
    write(`${JSON.stringify(line)}\n`);
  } catch (error) {
    log.error('audit line could not be written', { error: String(error) });
  }
}

const CODE_NAMES: ReadonlyMap<Code, string> = new Map(
  Object.entries(Code).map(([name, code]) => [code, name]),
);

function codeOf(error: unknown): Code {
  return error instanceof EtcdError ? error.code : Code.INTERNAL;
}

const REQUESTS: ReadonlyMap<string, string> = new Map(
  methodSchemas.map(({ service, name, request }) => [`${service}/${name}`, request]),
);

/** Every field that may be told, by the names of the API. What is not here never is. */
const TOLD: ReadonlySet<string> = new Set([
  ...['key', 'range_end', 'name', 'user', 'role', 'perm', 'permType', 'lease', 'ID', 'TTL'],
  ...['compare', 'success', 'failure', 'request_range', 'request_put', 'request_delete_range'],
  ...['request_txn', 'create_request', 'cancel_request', 'progress_request', 'watch_id'],
  ...['revision', 'physical', 'start_revision', 'keys_only', 'count_only', 'serializable'],
  ...['peerURLs', 'isLearner', 'memberID', 'targetID', 'action', 'alarm', 'version', 'leader'],
]);

function requestFields(method: Method, bytes: Uint8Array): object {
  const type = REQUESTS.get(`${method.service}/${method.name}`);
  if (type === undefined) return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(jsonFromWire(type, bytes));
  } catch (error) {
    if (error instanceof DecodeError) return { malformed: true };
    throw error;
  }
  const request = told(parsed);
  const length = JSON.stringify(request).length;
  return length > limits.auditRequestBytesMax ? { requestBytes: bytes.length } : { request };
}

function told(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(told);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => TOLD.has(name))
      .map(([name, each]) => [name, told(each)]),
  );
}
