/** What the Maintenance service bounds: work that reads the whole database. */

import { expect, it } from 'vitest';
import { errors } from '../src/errors.ts';
import { startEtcd } from '../src/index.ts';
import { limits } from '../src/limits.ts';

it('refuses more hashes at once than it can read the database for', async () => {
  await using etcd = await startEtcd({ memory: true });
  const ask = () => etcd.services.maintenance.hashKv({ revision: 0 });
  const asked = Array.from({ length: limits.hashesMax + 1 }, ask);
  const settled = await Promise.allSettled(asked);
  const refused = settled.filter(({ status }) => status === 'rejected');
  expect(refused).toEqual([{ status: 'rejected', reason: errors.tooManyRequests }]);
  expect((await ask()).hash).toBe(1084519789);
});
