import { defineConfig } from 'vitest/config';

// The benchmarks' own tests; needs a second etcd on the PATH, or named by BENCH_OTHER.
export default defineConfig({
  test: {
    include: ['bench/**/*.test.mjs'],
    testTimeout: 300_000,
  },
});
