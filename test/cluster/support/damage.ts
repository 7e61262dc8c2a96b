// Damage to the data of a stopped member of this build: one row of its database gets another value,
// as a broken disk or a bug might give it. This file refuses to know who finds it.

import { join } from 'node:path';
import { bucketRange, buckets } from '../../../src/buckets.ts';
import { LevelEngine } from '../../../src/platform/level-engine.ts';
import type { Member } from './member.ts';

/** Changes the last byte of the newest pair in the database. */
export async function damageNewestPair(member: Member): Promise<void> {
  if (member.running) throw new Error(`${member.name} is running`);
  const engine = await LevelEngine.open(join(member.dataDir, 'member/snap/db'));
  try {
    const rows = await engine.scan({ ...bucketRange(buckets.key), limit: 100_000 });
    const last = rows.at(-1);
    if (last === undefined) throw new Error('a database without pairs');
    const value = Buffer.from(last.value);
    value.writeUInt8(value.readUInt8(value.length - 1) ^ 1, value.length - 1);
    await engine.write([{ key: last.key, value }]);
  } finally {
    await engine.close();
  }
}
