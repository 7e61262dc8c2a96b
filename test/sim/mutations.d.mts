// What `mutations.mjs` offers to tests.

import type { Patch } from './bundle.mjs';

export declare const mutations: Readonly<Record<string, readonly Patch[]>>;
