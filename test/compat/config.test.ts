// The same settings given to this server and to etcd: exit codes, what they say about the settings,
// and the settings they start with. This file refuses to know what the settings mean.
import { describe, expect, it } from 'vitest';
import { findBinaries } from './binaries.ts';
import { cases } from './config-cases.ts';
import { start } from './config-run.ts';

const { node, go, exact } = await findBinaries();

describe.runIf(exact)('settings, as etcd 3.7.1 takes them', () => {
  it.each(cases)('%s', { timeout: 60_000 }, async (_, tried) => {
    const [ours, theirs] = await Promise.all([start(node, tried), start(go ?? [], tried)]);
    expect(ours).toEqual(theirs);
  });
});
