/** The entries in a segment of a log, whoever wrote it, from its first record on. */

import { decodeEntry } from '../../src/codec/raftpb.ts';
import type { Entry } from '../../src/raft/messages.ts';
import { decodeRecord, frameAt, RecordType } from '../../src/wal/record.ts';

export function walEntries(segment: Buffer): Entry[] {
  const entries: Entry[] = [];
  for (let offset = 0; ; ) {
    const frame = frameAt(segment, offset);
    if (frame.kind !== 'frame') return entries;
    const { type, data } = decodeRecord(frame.record);
    if (type === RecordType.ENTRY) entries.push(decodeEntry(data));
    offset = frame.end;
  }
}
