// What the other tests of this folder run; finding an etcd may mean building it.
import { expect, it } from 'vitest';
import { findPrograms } from './support/programs.ts';

it('has a program to test, an etcd beside it, and an etcdctl', { timeout: 600_000 }, async () => {
  const { tested, others, ctl } = await findPrograms();
  console.log(`tested: ${tested.label}; beside: ${others.map(({ label }) => label)}; ${ctl}`);
  expect(tested.version).toMatch(/^\d+\.\d+\.\d+$/);
  expect(others.length).toBeGreaterThan(0);
});
