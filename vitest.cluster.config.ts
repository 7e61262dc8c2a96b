import { defineConfig } from 'vitest/config';

// Clusters of real processes, this build's and etcd's; one cluster at a time. See scripts/cluster.mjs.
export default defineConfig({
  test: {
    include: ['test/cluster/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 300_000,
    hookTimeout: 60_000,
  },
});
