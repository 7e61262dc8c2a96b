/** The embedding API: a member, or a whole cluster, inside another program. */

export { type Etcd, type EtcdOptions, type MembershipStep, startEtcd } from './server/embed.ts';
export { type ClusterOptions, type EtcdCluster, startCluster } from './server/embed-cluster.ts';
