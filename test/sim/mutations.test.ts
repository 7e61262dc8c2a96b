/** The simulation notices when a rule of the product is broken, within the seeds of every day. */

import { expect, it } from 'vitest';
import { load } from './bundle.mjs';
import { CI_SEEDS } from './ci-seeds.ts';
import { mutations } from './mutations.mjs';

const TIMEOUT_MS = 600_000;

it.each(Object.keys(mutations))(
  'when %s',
  async (rule) => {
    const { simulate } = await load('simulation.ts', mutations[rule] ?? []);
    for (let seed: number = CI_SEEDS.first; seed <= CI_SEEDS.last; seed++) {
      if ((await simulate(seed)).failure !== null) return;
    }
    expect.fail('no seed has noticed');
  },
  TIMEOUT_MS,
);
