/** etcd's JSON list of members, read with exact ids: they are numbers beyond 2^53. */

import { JsonScanner } from '../codec/json-scanner.ts';
import { DecodeError } from '../codec/wire.ts';
import type { Member } from '../replica/members.ts';
import type { MemberId } from '../types.ts';

/** Throws `DecodeError`. Unknown fields are passed over. */
export function parseMembers(text: string): readonly Member[] {
  const scanner = new JsonScanner(text);
  const members = listOf(scanner, () => readMember(scanner));
  if (!scanner.atEnd()) throw new DecodeError('something follows the list of members');
  return members;
}

/** Go writes an empty list as null. */
function listOf<T>(scanner: JsonScanner, read: () => T): readonly T[] {
  const items: T[] = [];
  if (scanner.skipNull()) return items;
  scanner.open('[');
  while (scanner.more(']')) items.push(read());
  return items;
}

function readMember(scanner: JsonScanner): Member {
  let id = 0n as MemberId;
  let name = '';
  let peerUrls: readonly string[] = [];
  let clientUrls: readonly string[] = [];
  let isLearner = false;
  scanner.open('{');
  while (scanner.more('}')) {
    const field = scanner.name();
    scanner.expect(':');
    if (field === 'id') id = readId(scanner);
    else if (field === 'name') name = readText(scanner);
    else if (field === 'peerURLs') peerUrls = listOf(scanner, () => readText(scanner));
    else if (field === 'clientURLs') clientUrls = listOf(scanner, () => readText(scanner));
    else if (field === 'isLearner') isLearner = readFlag(scanner);
    else scanner.skipValue();
  }
  return { id, name, peerUrls, clientUrls, isLearner };
}

function readId(scanner: JsonScanner): MemberId {
  scanner.scalar();
  if (scanner.tokenKind !== 'number' || !/^\d+$/.test(scanner.tokenText)) {
    throw new DecodeError('the id of a member is no number');
  }
  const id = BigInt(scanner.tokenText);
  if (id >= 2n ** 64n) throw new DecodeError('the id of a member is too large');
  return id as MemberId;
}

function readText(scanner: JsonScanner): string {
  scanner.scalar();
  if (scanner.tokenKind !== 'string') throw new DecodeError('a text is expected');
  return scanner.tokenText;
}

function readFlag(scanner: JsonScanner): boolean {
  scanner.scalar();
  if (scanner.tokenKind !== 'word') throw new DecodeError('a flag is expected');
  return scanner.tokenText === 'true';
}
