/**
 * The catalogue of errors that a client can see: code and exact text, as etcd 3.7 sends them. Texts
 * are part of the API, since client libraries match on them.
 *
 * An `EtcdError` is expected and typed. During apply it is data (the outcome of the entry on every
 * member), never an exception; services throw it. Each exists once, so an error is compared by
 * identity and creating an answer costs no stack trace.
 */

/** gRPC status codes. */
export const Code = {
  OK: 0,
  CANCELED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;
export type Code = (typeof Code)[keyof typeof Code];

export class EtcdError extends Error {
  override readonly name = 'EtcdError';
  readonly code: Code;

  constructor(code: Code, message: string) {
    super(message);
    this.code = code;
  }
}

function etcd(code: Code, text: string): EtcdError {
  return new EtcdError(code, `etcdserver: ${text}`);
}

// etcd: `memberNotEnoughStarted` and `tooManyRequests` reach the wire as Unknown, because the Go
// server maps them to its client-side error type, which carries no gRPC status.
export const errors = {
  emptyKey: etcd(Code.INVALID_ARGUMENT, 'key is not provided'),
  keyNotFound: etcd(Code.INVALID_ARGUMENT, 'key not found'),
  valueProvided: etcd(Code.INVALID_ARGUMENT, 'value is provided'),
  leaseProvided: etcd(Code.INVALID_ARGUMENT, 'lease is provided'),
  tooManyOps: etcd(Code.INVALID_ARGUMENT, 'too many operations in txn request'),
  duplicateKey: etcd(Code.INVALID_ARGUMENT, 'duplicate key given in txn request'),
  invalidClientApiVersion: etcd(Code.INVALID_ARGUMENT, 'invalid client api version'),
  invalidSortOption: etcd(Code.INVALID_ARGUMENT, 'invalid sort option'),
  compacted: etcd(Code.OUT_OF_RANGE, 'mvcc: required revision has been compacted'),
  futureRev: etcd(Code.OUT_OF_RANGE, 'mvcc: required revision is a future revision'),
  noSpace: etcd(Code.RESOURCE_EXHAUSTED, 'mvcc: database space exceeded'),
  leaseNotFound: etcd(Code.NOT_FOUND, 'requested lease not found'),
  leaseExist: etcd(Code.FAILED_PRECONDITION, 'lease already exists'),
  leaseTtlTooLarge: etcd(Code.OUT_OF_RANGE, 'too large lease TTL'),
  watchCanceled: etcd(Code.CANCELED, 'watch canceled'),
  memberExist: etcd(Code.FAILED_PRECONDITION, 'member ID already exist'),
  peerUrlExist: etcd(Code.FAILED_PRECONDITION, 'Peer URLs already exists'),
  memberNotEnoughStarted: etcd(
    Code.UNKNOWN,
    're-configuration failed due to not enough started members',
  ),
  memberBadUrls: etcd(Code.INVALID_ARGUMENT, 'given member URLs are invalid'),
  memberNotFound: etcd(Code.NOT_FOUND, 'member not found'),
  memberNotLearner: etcd(Code.FAILED_PRECONDITION, 'can only promote a learner member'),
  learnerNotReady: etcd(
    Code.FAILED_PRECONDITION,
    'can only promote a learner member which is in sync with leader',
  ),
  tooManyLearners: etcd(Code.FAILED_PRECONDITION, 'too many learner members in cluster'),
  clusterIdMismatch: etcd(Code.FAILED_PRECONDITION, 'cluster ID mismatch'),
  requestTooLarge: etcd(Code.INVALID_ARGUMENT, 'request is too large'),
  tooManyRequests: etcd(Code.UNKNOWN, 'too many requests'),
  rootUserNotExist: etcd(Code.FAILED_PRECONDITION, 'root user does not exist'),
  rootRoleNotExist: etcd(Code.FAILED_PRECONDITION, 'root user does not have root role'),
  userAlreadyExist: etcd(Code.FAILED_PRECONDITION, 'user name already exists'),
  userEmpty: etcd(Code.INVALID_ARGUMENT, 'user name is empty'),
  userNotFound: etcd(Code.FAILED_PRECONDITION, 'user name not found'),
  roleAlreadyExist: etcd(Code.FAILED_PRECONDITION, 'role name already exists'),
  roleNotFound: etcd(Code.FAILED_PRECONDITION, 'role name not found'),
  roleEmpty: etcd(Code.INVALID_ARGUMENT, 'role name is empty'),
  authFailed: etcd(Code.INVALID_ARGUMENT, 'authentication failed, invalid user ID or password'),
  permissionNotGiven: etcd(Code.INVALID_ARGUMENT, 'permission not given'),
  permissionDenied: etcd(Code.PERMISSION_DENIED, 'permission denied'),
  roleNotGranted: etcd(Code.FAILED_PRECONDITION, 'role is not granted to the user'),
  permissionNotGranted: etcd(Code.FAILED_PRECONDITION, 'permission is not granted to the role'),
  authNotEnabled: etcd(Code.FAILED_PRECONDITION, 'authentication is not enabled'),
  invalidAuthToken: etcd(Code.UNAUTHENTICATED, 'invalid auth token'),
  invalidAuthMgmt: etcd(Code.INVALID_ARGUMENT, 'invalid auth management'),
  authOldRevision: etcd(Code.INVALID_ARGUMENT, 'revision of auth store is old'),
  tokenVerifyOnly: new EtcdError(
    Code.UNKNOWN,
    'auth: token signing attempted with verify-only key',
  ),
  passwordTooLong: new EtcdError(Code.UNKNOWN, 'bcrypt: password length exceeds 72 bytes'),
  noLeader: etcd(Code.UNAVAILABLE, 'no leader'),
  notLeader: etcd(Code.FAILED_PRECONDITION, 'not leader'),
  leaderChanged: etcd(Code.UNAVAILABLE, 'leader changed'),
  notCapable: etcd(Code.FAILED_PRECONDITION, 'not capable'),
  stopped: etcd(Code.UNAVAILABLE, 'server stopped'),
  timeout: etcd(Code.UNAVAILABLE, 'request timed out'),
  timeoutDueToLeaderFail: etcd(
    Code.UNAVAILABLE,
    'request timed out, possibly due to previous leader failure',
  ),
  timeoutDueToConnectionLost: etcd(
    Code.UNAVAILABLE,
    'request timed out, possibly due to connection lost',
  ),
  timeoutLeaderTransfer: etcd(Code.UNKNOWN, 'request timed out, leader transfer took too long'),
  timeoutWaitAppliedIndex: etcd(
    Code.UNAVAILABLE,
    'request timed out, waiting for the applied index took too long',
  ),
  unhealthy: etcd(Code.UNAVAILABLE, 'unhealthy cluster'),
  corrupt: etcd(Code.DATA_LOSS, 'corrupt cluster'),
  notSupportedForLearner: etcd(Code.FAILED_PRECONDITION, 'rpc not supported for learner'),
  badLeaderTransferee: etcd(Code.FAILED_PRECONDITION, 'bad leader transferee'),
  canceled: etcd(Code.CANCELED, 'request canceled'),
  wrongDowngradeVersionFormat: etcd(Code.INVALID_ARGUMENT, 'wrong downgrade target version format'),
  invalidDowngradeTargetVersion: etcd(Code.INVALID_ARGUMENT, 'invalid downgrade target version'),
  clusterVersionUnavailable: etcd(
    Code.FAILED_PRECONDITION,
    'cluster version not found during downgrade',
  ),
  downgradeInProcess: etcd(Code.FAILED_PRECONDITION, 'cluster has a downgrade job in progress'),
  noInflightDowngrade: etcd(Code.FAILED_PRECONDITION, 'no inflight downgrade job'),
  unknownMethod: etcd(Code.UNKNOWN, 'unknown method'),
  rangeStreamSort: new EtcdError(
    Code.UNIMPLEMENTED,
    'RangeStream does not support custom sort orders',
  ),
  rangeStreamFilter: new EtcdError(
    Code.UNIMPLEMENTED,
    'RangeStream does not support revision filters',
  ),
  deadlineExceeded: new EtcdError(Code.DEADLINE_EXCEEDED, 'context deadline exceeded'),
  contextCanceled: new EtcdError(Code.CANCELED, 'context canceled'),
  proposalDropped: new EtcdError(Code.UNKNOWN, 'raft proposal dropped'),
  noPasswordUser: new EtcdError(
    Code.UNKNOWN,
    'auth: authentication failed, password was given for no password user',
  ),
  notPrimaryLessor: new EtcdError(Code.UNKNOWN, 'not a primary lessor'),
  leaderFieldMissing: new EtcdError(Code.UNKNOWN, '"leader" field must be provided'),
  electionNotLeader: new EtcdError(Code.UNKNOWN, 'election: not leader'),
  electionNoLeader: new EtcdError(Code.UNKNOWN, 'election: no leader'),
  sessionExpired: new EtcdError(Code.UNKNOWN, 'mutex: session is expired'),
} as const;
