/** The shape of the tables in `gen/schema.ts`: what the JSON transcoder knows of a message. */

export type FieldKind =
  | 'int64'
  | 'uint64'
  | 'int32'
  | 'uint32'
  | 'bool'
  | 'string'
  | 'bytes'
  | 'enum'
  | 'message';

export interface FieldSchema {
  readonly number: number;
  /** The name in the .proto file, which etcd's gateway prints. */
  readonly name: string;
  /** protobuf's lowerCamelCase name, which etcd's gateway also reads. */
  readonly json: string;
  readonly kind: FieldKind;
  /** Full name of the message or enum; empty for scalars. */
  readonly type: string;
  readonly repeated: boolean;
  /** Name of the oneof; empty when outside of one. */
  readonly oneof: string;
}

/** Fields in declaration order, which is the order of keys in etcd's JSON. */
export type MessageSchema = readonly FieldSchema[];

export type EnumSchema = { readonly [name: string]: number };

export interface MethodSchema {
  /** Full name, `etcdserverpb.KV`. */
  readonly service: string;
  readonly name: string;
  readonly request: string;
  readonly response: string;
  readonly clientStreaming: boolean;
  readonly serverStreaming: boolean;
  /** Paths of the JSON gateway. */
  readonly routes: readonly string[];
}
