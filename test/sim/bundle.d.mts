// What `bundle.mjs` offers to tests.

import type { simulate } from './simulation.ts';

export interface Patch {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export declare function load(
  entry: 'simulation.ts',
  patches?: readonly Patch[],
): Promise<{ readonly simulate: typeof simulate }>;
