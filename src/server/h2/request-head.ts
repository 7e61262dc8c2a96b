/**
 * What the header fields of a request mean: a call, an answer that needs no call, or a reset. In
 * the order and with the texts of grpc-go. Nothing here depends on the connection, so a head may be
 * used again for the same fields.
 */

import { Code } from '../../errors.ts';
import { ErrorCode } from './frames.ts';
import type { Metadata } from './grpc-call.ts';
import type { HeaderField } from './hpack-static-table.ts';

export interface CallHead {
  readonly kind: 'call';
  readonly path: string;
  readonly metadata: Metadata;
  readonly timeoutMs: number | null;
  /** Of the request; empty when it is not compressed. */
  readonly encoding: string;
  readonly responseType: string;
}

export interface RefusedHead {
  readonly kind: 'refused';
  readonly httpStatus: number;
  readonly code: Code;
  readonly message: string;
  readonly responseType: string;
}

export interface ResetHead {
  readonly kind: 'reset';
  readonly error: ErrorCode;
}

export type RequestHead = CallHead | RefusedHead | ResetHead;

export const CONTENT_TYPE = 'application/grpc';

class FieldList implements Metadata {
  readonly #fields: readonly HeaderField[];

  constructor(fields: readonly HeaderField[]) {
    this.#fields = fields;
  }

  get(name: string): string | undefined {
    for (const field of this.#fields) if (field.name === name) return field.value;
    return undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }
}

const MALFORMED: ResetHead = { kind: 'reset', error: ErrorCode.PROTOCOL_ERROR };

/** What the fields said so far. */
interface Draft {
  readonly metadata: HeaderField[];
  method: string;
  path: string;
  contentType: string;
  /** `null` while no content type of gRPC was seen. */
  subtype: string | null;
  encoding: string;
  timeoutMs: number | null;
  authorities: number;
  hosts: number;
  error: string;
}

export function parseHead(fields: readonly HeaderField[]): RequestHead {
  const draft: Draft = {
    metadata: [],
    method: '',
    path: '',
    contentType: '',
    subtype: null,
    encoding: '',
    timeoutMs: null,
    authorities: 0,
    hosts: 0,
    error: '',
  };
  let pseudoOver = false;
  for (const field of fields) {
    if (!field.valid) return MALFORMED;
    if (field.name.charCodeAt(0) === COLON) {
      if (pseudoOver || !takePseudo(draft, field)) return MALFORMED;
    } else {
      pseudoOver = true;
      if (field.name === 'connection') return MALFORMED;
      takeRegular(draft, field);
    }
  }
  return judge(draft);
}

const COLON = 0x3a;

function takePseudo(draft: Draft, field: HeaderField): boolean {
  switch (field.name) {
    case ':method':
      draft.method = field.value;
      return true;
    case ':path':
      draft.path = field.value;
      return true;
    case ':scheme':
      return true;
    case ':authority':
      draft.authorities++;
      draft.metadata.push(field);
      return true;
    default:
      return false;
  }
}

function takeRegular(draft: Draft, field: HeaderField): void {
  const { name, value } = field;
  switch (name) {
    case 'te':
    case 'grpc-message-type':
    case 'grpc-message':
    case 'grpc-status':
      return;
    case 'content-type':
      draft.subtype ??= contentSubtype(value);
      draft.contentType = value;
      break;
    case 'grpc-encoding':
      draft.encoding = value;
      return;
    case 'grpc-timeout':
      takeTimeout(draft, value);
      return;
    case 'host':
      draft.hosts++;
      break;
    default:
      if (name.endsWith('-bin')) {
        takeBinary(draft, field);
        return;
      }
  }
  draft.metadata.push(field);
}

function judge(draft: Draft): RequestHead {
  const { authorities, hosts, subtype, method, encoding } = draft;
  const responseType = subtype ? `${CONTENT_TYPE}+${subtype}` : CONTENT_TYPE;
  const refused = (httpStatus: number, code: Code, message: string): RefusedHead => ({
    kind: 'refused',
    httpStatus,
    code,
    message,
    responseType,
  });
  if (authorities > 1 || hosts > 1) {
    const values = `num values of :authority: ${authorities}, num values of host: ${hosts}`;
    const text = `${values}, both must only have 1 value as per HTTP/2 spec`;
    return refused(400, Code.INTERNAL, text);
  }
  if (subtype === null) {
    const text = `invalid gRPC request content-type ${quote(draft.contentType)}`;
    return refused(415, Code.INVALID_ARGUMENT, text);
  }
  if (draft.error !== '') return refused(400, Code.INTERNAL, draft.error);
  if (method !== 'POST') {
    const text = `Received a HEADERS frame with :method ${quote(method)} which should be POST`;
    return refused(405, Code.INTERNAL, text);
  }
  if (draft.timeoutMs !== null && draft.timeoutMs < PASSED_TIMEOUT_MS) {
    return refused(200, Code.DEADLINE_EXCEEDED, 'context deadline exceeded');
  }
  if (!(encoding === '' || encoding === 'identity' || encoding === 'gzip')) {
    const text = `grpc: Decompressor is not installed for grpc-encoding ${quote(encoding)}`;
    return refused(200, Code.UNIMPLEMENTED, text);
  }
  const { path, timeoutMs } = draft;
  const metadata = new FieldList(draft.metadata);
  return { kind: 'call', path, metadata, timeoutMs, encoding, responseType };
}

/** `null` when the type is not gRPC's. */
function contentSubtype(type: string): string | null {
  if (type === CONTENT_TYPE) return '';
  if (!type.startsWith(CONTENT_TYPE)) return null;
  const separator = type[CONTENT_TYPE.length];
  if (separator !== '+' && separator !== ';') return null;
  return type.slice(CONTENT_TYPE.length + 1);
}

const TIMEOUT_UNITS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};
/** etcd: a shorter deadline has passed before the call reaches its method. */
const PASSED_TIMEOUT_MS = 0.01;
/** Eight digits and the unit. */
const TIMEOUT_LENGTH_MAX = 9;

function takeTimeout(draft: Draft, text: string): void {
  const unitMs = TIMEOUT_UNITS[text.slice(-1)];
  const digits = text.slice(0, -1);
  const malformed = (reason: string): void => {
    draft.error = `malformed grpc-timeout: ${reason}`;
  };
  if (text.length < 2) {
    malformed(`transport: timeout string is too short: ${quote(text)}`);
  } else if (text.length > TIMEOUT_LENGTH_MAX) {
    malformed(`transport: timeout string is too long: ${quote(text)}`);
  } else if (unitMs === undefined) {
    malformed(`transport: timeout unit is not recognized: ${quote(text)}`);
  } else if (!/^[0-9]+$/.test(digits)) {
    malformed(`strconv.ParseUint: parsing ${quote(digits)}: invalid syntax`);
  } else {
    draft.timeoutMs = Number(digits) * unitMs;
  }
}

/** Base64, padded or not. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

function takeBinary(draft: Draft, { name, value, valid }: HeaderField): void {
  if (BASE64.test(value)) {
    const decoded = Buffer.from(value, 'base64').toString('latin1');
    draft.metadata.push({ name, value: decoded, valid });
    return;
  }
  const at = /^[A-Za-z0-9+/]*/.exec(value)?.[0].length ?? 0;
  const text = `malformed binary metadata ${quote(value)} in header ${quote(name)}`;
  draft.error = `${text}: illegal base64 data at input byte ${at}`;
}

/** As Go quotes a header value, which has no control characters but the tab. */
function quote(latin1: string): string {
  return JSON.stringify(Buffer.from(latin1, 'latin1').toString('utf8'));
}
