import { defineConfig } from 'vitest/config';

// Needs real etcd binaries on the PATH; every file starts its own servers, so files run one at a time.
export default defineConfig({
  test: {
    include: ['test/compat/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 60_000,
  },
});
