/**
 * The versions this server claims. etcd's clients and peers switch features by these, so they are
 * dotted integers only (Patroni parses each part as a number).
 */

/** The etcd release whose behaviour is matched. */
export const SERVER_VERSION = '3.7.1';
/** The highest cluster version this member can take part in. */
export const CLUSTER_VERSION = '3.7.0';
export const STORAGE_VERSION = '3.7.0';
/** The lowest cluster version this member can join. */
export const MIN_CLUSTER_VERSION = '3.0.0';

/** This implementation; a test holds both to package.json. */
export const PACKAGE_NAME = 'etcd-node';
export const PACKAGE_VERSION = '0.1.0';

/** What etcd prints when it was built outside its own build script. */
export const GIT_SHA = `Not provided (${PACKAGE_NAME} ${PACKAGE_VERSION})`;
