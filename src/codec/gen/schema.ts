// Generated from proto/ by scripts/gen-codec.mjs; do not edit.

import type { EnumSchema, MessageSchema, MethodSchema } from '../schema.ts';

export const enumSchemas: { readonly [name: string]: EnumSchema } = {
  'mvccpb.Event.EventType': {"PUT":0,"DELETE":1},
  'authpb.Permission.Type': {"READ":0,"WRITE":1,"READWRITE":2},
  'etcdserverpb.AlarmType': {"NONE":0,"NOSPACE":1,"CORRUPT":2},
  'etcdserverpb.RangeRequest.SortOrder': {"NONE":0,"ASCEND":1,"DESCEND":2},
  'etcdserverpb.RangeRequest.SortTarget': {"KEY":0,"VERSION":1,"CREATE":2,"MOD":3,"VALUE":4},
  'etcdserverpb.Compare.CompareResult': {"EQUAL":0,"GREATER":1,"LESS":2,"NOT_EQUAL":3},
  'etcdserverpb.Compare.CompareTarget': {"VERSION":0,"CREATE":1,"MOD":2,"VALUE":3,"LEASE":4},
  'etcdserverpb.WatchCreateRequest.FilterType': {"NOPUT":0,"NODELETE":1},
  'etcdserverpb.AlarmRequest.AlarmAction': {"GET":0,"ACTIVATE":1,"DEACTIVATE":2},
  'etcdserverpb.DowngradeRequest.DowngradeAction': {"VALIDATE":0,"ENABLE":1,"CANCEL":2},
};

export const messageSchemas: { readonly [name: string]: MessageSchema } = {
  'mvccpb.KeyValue': [
    {"number":1,"name":"key","json":"key","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"create_revision","json":"createRevision","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"mod_revision","json":"modRevision","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"version","json":"version","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":5,"name":"value","json":"value","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":6,"name":"lease","json":"lease","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'mvccpb.Event': [
    {"number":1,"name":"type","json":"type","kind":"enum","type":"mvccpb.Event.EventType","repeated":false,"oneof":""},
    {"number":2,"name":"kv","json":"kv","kind":"message","type":"mvccpb.KeyValue","repeated":false,"oneof":""},
    {"number":3,"name":"prev_kv","json":"prevKv","kind":"message","type":"mvccpb.KeyValue","repeated":false,"oneof":""},
  ],
  'authpb.UserAddOptions': [
    {"number":1,"name":"no_password","json":"noPassword","kind":"bool","type":"","repeated":false,"oneof":""},
  ],
  'authpb.User': [
    {"number":1,"name":"name","json":"name","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"password","json":"password","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"roles","json":"roles","kind":"string","type":"","repeated":true,"oneof":""},
    {"number":4,"name":"options","json":"options","kind":"message","type":"authpb.UserAddOptions","repeated":false,"oneof":""},
  ],
  'authpb.Permission': [
    {"number":1,"name":"permType","json":"permType","kind":"enum","type":"authpb.Permission.Type","repeated":false,"oneof":""},
    {"number":2,"name":"key","json":"key","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"range_end","json":"rangeEnd","kind":"bytes","type":"","repeated":false,"oneof":""},
  ],
  'authpb.Role': [
    {"number":1,"name":"name","json":"name","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"keyPermission","json":"keyPermission","kind":"message","type":"authpb.Permission","repeated":true,"oneof":""},
  ],
  'membershippb.RaftAttributes': [
    {"number":1,"name":"peer_urls","json":"peerUrls","kind":"string","type":"","repeated":true,"oneof":""},
    {"number":2,"name":"is_learner","json":"isLearner","kind":"bool","type":"","repeated":false,"oneof":""},
  ],
  'membershippb.Attributes': [
    {"number":1,"name":"name","json":"name","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"client_urls","json":"clientUrls","kind":"string","type":"","repeated":true,"oneof":""},
  ],
  'membershippb.Member': [
    {"number":1,"name":"ID","json":"ID","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"raft_attributes","json":"raftAttributes","kind":"message","type":"membershippb.RaftAttributes","repeated":false,"oneof":""},
    {"number":3,"name":"member_attributes","json":"memberAttributes","kind":"message","type":"membershippb.Attributes","repeated":false,"oneof":""},
  ],
  'membershippb.ClusterVersionSetRequest': [
    {"number":1,"name":"ver","json":"ver","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'membershippb.ClusterMemberAttrSetRequest': [
    {"number":1,"name":"member_ID","json":"memberID","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"member_attributes","json":"memberAttributes","kind":"message","type":"membershippb.Attributes","repeated":false,"oneof":""},
  ],
  'membershippb.DowngradeInfoSetRequest': [
    {"number":1,"name":"enabled","json":"enabled","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"ver","json":"ver","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.ResponseHeader': [
    {"number":1,"name":"cluster_id","json":"clusterId","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"member_id","json":"memberId","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"revision","json":"revision","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"raft_term","json":"raftTerm","kind":"uint64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.RangeRequest': [
    {"number":1,"name":"key","json":"key","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"range_end","json":"rangeEnd","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"limit","json":"limit","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"revision","json":"revision","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":5,"name":"sort_order","json":"sortOrder","kind":"enum","type":"etcdserverpb.RangeRequest.SortOrder","repeated":false,"oneof":""},
    {"number":6,"name":"sort_target","json":"sortTarget","kind":"enum","type":"etcdserverpb.RangeRequest.SortTarget","repeated":false,"oneof":""},
    {"number":7,"name":"serializable","json":"serializable","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":8,"name":"keys_only","json":"keysOnly","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":9,"name":"count_only","json":"countOnly","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":10,"name":"min_mod_revision","json":"minModRevision","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":11,"name":"max_mod_revision","json":"maxModRevision","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":12,"name":"min_create_revision","json":"minCreateRevision","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":13,"name":"max_create_revision","json":"maxCreateRevision","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.RangeResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"kvs","json":"kvs","kind":"message","type":"mvccpb.KeyValue","repeated":true,"oneof":""},
    {"number":3,"name":"more","json":"more","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"count","json":"count","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.PutRequest': [
    {"number":1,"name":"key","json":"key","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"value","json":"value","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"lease","json":"lease","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"prev_kv","json":"prevKv","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":5,"name":"ignore_value","json":"ignoreValue","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":6,"name":"ignore_lease","json":"ignoreLease","kind":"bool","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.PutResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"prev_kv","json":"prevKv","kind":"message","type":"mvccpb.KeyValue","repeated":false,"oneof":""},
  ],
  'etcdserverpb.DeleteRangeRequest': [
    {"number":1,"name":"key","json":"key","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"range_end","json":"rangeEnd","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"prev_kv","json":"prevKv","kind":"bool","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.DeleteRangeResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"deleted","json":"deleted","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"prev_kvs","json":"prevKvs","kind":"message","type":"mvccpb.KeyValue","repeated":true,"oneof":""},
  ],
  'etcdserverpb.RequestOp': [
    {"number":1,"name":"request_range","json":"requestRange","kind":"message","type":"etcdserverpb.RangeRequest","repeated":false,"oneof":"request"},
    {"number":2,"name":"request_put","json":"requestPut","kind":"message","type":"etcdserverpb.PutRequest","repeated":false,"oneof":"request"},
    {"number":3,"name":"request_delete_range","json":"requestDeleteRange","kind":"message","type":"etcdserverpb.DeleteRangeRequest","repeated":false,"oneof":"request"},
    {"number":4,"name":"request_txn","json":"requestTxn","kind":"message","type":"etcdserverpb.TxnRequest","repeated":false,"oneof":"request"},
  ],
  'etcdserverpb.ResponseOp': [
    {"number":1,"name":"response_range","json":"responseRange","kind":"message","type":"etcdserverpb.RangeResponse","repeated":false,"oneof":"response"},
    {"number":2,"name":"response_put","json":"responsePut","kind":"message","type":"etcdserverpb.PutResponse","repeated":false,"oneof":"response"},
    {"number":3,"name":"response_delete_range","json":"responseDeleteRange","kind":"message","type":"etcdserverpb.DeleteRangeResponse","repeated":false,"oneof":"response"},
    {"number":4,"name":"response_txn","json":"responseTxn","kind":"message","type":"etcdserverpb.TxnResponse","repeated":false,"oneof":"response"},
  ],
  'etcdserverpb.Compare': [
    {"number":1,"name":"result","json":"result","kind":"enum","type":"etcdserverpb.Compare.CompareResult","repeated":false,"oneof":""},
    {"number":2,"name":"target","json":"target","kind":"enum","type":"etcdserverpb.Compare.CompareTarget","repeated":false,"oneof":""},
    {"number":3,"name":"key","json":"key","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"version","json":"version","kind":"int64","type":"","repeated":false,"oneof":"target_union"},
    {"number":5,"name":"create_revision","json":"createRevision","kind":"int64","type":"","repeated":false,"oneof":"target_union"},
    {"number":6,"name":"mod_revision","json":"modRevision","kind":"int64","type":"","repeated":false,"oneof":"target_union"},
    {"number":7,"name":"value","json":"value","kind":"bytes","type":"","repeated":false,"oneof":"target_union"},
    {"number":8,"name":"lease","json":"lease","kind":"int64","type":"","repeated":false,"oneof":"target_union"},
    {"number":64,"name":"range_end","json":"rangeEnd","kind":"bytes","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.TxnRequest': [
    {"number":1,"name":"compare","json":"compare","kind":"message","type":"etcdserverpb.Compare","repeated":true,"oneof":""},
    {"number":2,"name":"success","json":"success","kind":"message","type":"etcdserverpb.RequestOp","repeated":true,"oneof":""},
    {"number":3,"name":"failure","json":"failure","kind":"message","type":"etcdserverpb.RequestOp","repeated":true,"oneof":""},
  ],
  'etcdserverpb.TxnResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"succeeded","json":"succeeded","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"responses","json":"responses","kind":"message","type":"etcdserverpb.ResponseOp","repeated":true,"oneof":""},
  ],
  'etcdserverpb.CompactionRequest': [
    {"number":1,"name":"revision","json":"revision","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"physical","json":"physical","kind":"bool","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.CompactionResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.HashRequest': [
  ],
  'etcdserverpb.HashKVRequest': [
    {"number":1,"name":"revision","json":"revision","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.HashKVResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"hash","json":"hash","kind":"uint32","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"compact_revision","json":"compactRevision","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"hash_revision","json":"hashRevision","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.HashResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"hash","json":"hash","kind":"uint32","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.SnapshotRequest': [
  ],
  'etcdserverpb.SnapshotResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"remaining_bytes","json":"remainingBytes","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"blob","json":"blob","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"version","json":"version","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.WatchRequest': [
    {"number":1,"name":"create_request","json":"createRequest","kind":"message","type":"etcdserverpb.WatchCreateRequest","repeated":false,"oneof":"request_union"},
    {"number":2,"name":"cancel_request","json":"cancelRequest","kind":"message","type":"etcdserverpb.WatchCancelRequest","repeated":false,"oneof":"request_union"},
    {"number":3,"name":"progress_request","json":"progressRequest","kind":"message","type":"etcdserverpb.WatchProgressRequest","repeated":false,"oneof":"request_union"},
  ],
  'etcdserverpb.WatchCreateRequest': [
    {"number":1,"name":"key","json":"key","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"range_end","json":"rangeEnd","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"start_revision","json":"startRevision","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"progress_notify","json":"progressNotify","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":5,"name":"filters","json":"filters","kind":"enum","type":"etcdserverpb.WatchCreateRequest.FilterType","repeated":true,"oneof":""},
    {"number":6,"name":"prev_kv","json":"prevKv","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":7,"name":"watch_id","json":"watchId","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":8,"name":"fragment","json":"fragment","kind":"bool","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.WatchCancelRequest': [
    {"number":1,"name":"watch_id","json":"watchId","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.WatchProgressRequest': [
  ],
  'etcdserverpb.WatchResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"watch_id","json":"watchId","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"created","json":"created","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"canceled","json":"canceled","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":5,"name":"compact_revision","json":"compactRevision","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":6,"name":"cancel_reason","json":"cancelReason","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":7,"name":"fragment","json":"fragment","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":11,"name":"events","json":"events","kind":"message","type":"mvccpb.Event","repeated":true,"oneof":""},
  ],
  'etcdserverpb.LeaseGrantRequest': [
    {"number":1,"name":"TTL","json":"TTL","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"ID","json":"ID","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.LeaseGrantResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"ID","json":"ID","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"TTL","json":"TTL","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"error","json":"error","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.LeaseRevokeRequest': [
    {"number":1,"name":"ID","json":"ID","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.LeaseRevokeResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.LeaseCheckpoint': [
    {"number":1,"name":"ID","json":"ID","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"remaining_TTL","json":"remainingTTL","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.LeaseCheckpointRequest': [
    {"number":1,"name":"checkpoints","json":"checkpoints","kind":"message","type":"etcdserverpb.LeaseCheckpoint","repeated":true,"oneof":""},
  ],
  'etcdserverpb.LeaseCheckpointResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.LeaseKeepAliveRequest': [
    {"number":1,"name":"ID","json":"ID","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.LeaseKeepAliveResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"ID","json":"ID","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"TTL","json":"TTL","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.LeaseTimeToLiveRequest': [
    {"number":1,"name":"ID","json":"ID","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"keys","json":"keys","kind":"bool","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.LeaseTimeToLiveResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"ID","json":"ID","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"TTL","json":"TTL","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"grantedTTL","json":"grantedTTL","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":5,"name":"keys","json":"keys","kind":"bytes","type":"","repeated":true,"oneof":""},
  ],
  'etcdserverpb.LeaseLeasesRequest': [
  ],
  'etcdserverpb.LeaseStatus': [
    {"number":1,"name":"ID","json":"ID","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.LeaseLeasesResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"leases","json":"leases","kind":"message","type":"etcdserverpb.LeaseStatus","repeated":true,"oneof":""},
  ],
  'etcdserverpb.Member': [
    {"number":1,"name":"ID","json":"ID","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"name","json":"name","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"peerURLs","json":"peerURLs","kind":"string","type":"","repeated":true,"oneof":""},
    {"number":4,"name":"clientURLs","json":"clientURLs","kind":"string","type":"","repeated":true,"oneof":""},
    {"number":5,"name":"isLearner","json":"isLearner","kind":"bool","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.MemberAddRequest': [
    {"number":1,"name":"peerURLs","json":"peerURLs","kind":"string","type":"","repeated":true,"oneof":""},
    {"number":2,"name":"isLearner","json":"isLearner","kind":"bool","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.MemberAddResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"member","json":"member","kind":"message","type":"etcdserverpb.Member","repeated":false,"oneof":""},
    {"number":3,"name":"members","json":"members","kind":"message","type":"etcdserverpb.Member","repeated":true,"oneof":""},
  ],
  'etcdserverpb.MemberRemoveRequest': [
    {"number":1,"name":"ID","json":"ID","kind":"uint64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.MemberRemoveResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"members","json":"members","kind":"message","type":"etcdserverpb.Member","repeated":true,"oneof":""},
  ],
  'etcdserverpb.MemberUpdateRequest': [
    {"number":1,"name":"ID","json":"ID","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"peerURLs","json":"peerURLs","kind":"string","type":"","repeated":true,"oneof":""},
  ],
  'etcdserverpb.MemberUpdateResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"members","json":"members","kind":"message","type":"etcdserverpb.Member","repeated":true,"oneof":""},
  ],
  'etcdserverpb.MemberListRequest': [
    {"number":1,"name":"linearizable","json":"linearizable","kind":"bool","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.MemberListResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"members","json":"members","kind":"message","type":"etcdserverpb.Member","repeated":true,"oneof":""},
  ],
  'etcdserverpb.MemberPromoteRequest': [
    {"number":1,"name":"ID","json":"ID","kind":"uint64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.MemberPromoteResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"members","json":"members","kind":"message","type":"etcdserverpb.Member","repeated":true,"oneof":""},
  ],
  'etcdserverpb.DefragmentRequest': [
  ],
  'etcdserverpb.DefragmentResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.MoveLeaderRequest': [
    {"number":1,"name":"targetID","json":"targetID","kind":"uint64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.MoveLeaderResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AlarmRequest': [
    {"number":1,"name":"action","json":"action","kind":"enum","type":"etcdserverpb.AlarmRequest.AlarmAction","repeated":false,"oneof":""},
    {"number":2,"name":"memberID","json":"memberID","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"alarm","json":"alarm","kind":"enum","type":"etcdserverpb.AlarmType","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AlarmMember': [
    {"number":1,"name":"memberID","json":"memberID","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"alarm","json":"alarm","kind":"enum","type":"etcdserverpb.AlarmType","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AlarmResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"alarms","json":"alarms","kind":"message","type":"etcdserverpb.AlarmMember","repeated":true,"oneof":""},
  ],
  'etcdserverpb.DowngradeRequest': [
    {"number":1,"name":"action","json":"action","kind":"enum","type":"etcdserverpb.DowngradeRequest.DowngradeAction","repeated":false,"oneof":""},
    {"number":2,"name":"version","json":"version","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.DowngradeResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"version","json":"version","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.DowngradeVersionTestRequest': [
    {"number":1,"name":"ver","json":"ver","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.StatusRequest': [
  ],
  'etcdserverpb.StatusResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"version","json":"version","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"dbSize","json":"dbSize","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"leader","json":"leader","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":5,"name":"raftIndex","json":"raftIndex","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":6,"name":"raftTerm","json":"raftTerm","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":7,"name":"raftAppliedIndex","json":"raftAppliedIndex","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":8,"name":"errors","json":"errors","kind":"string","type":"","repeated":true,"oneof":""},
    {"number":9,"name":"dbSizeInUse","json":"dbSizeInUse","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":10,"name":"isLearner","json":"isLearner","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":11,"name":"storageVersion","json":"storageVersion","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":12,"name":"dbSizeQuota","json":"dbSizeQuota","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":13,"name":"downgradeInfo","json":"downgradeInfo","kind":"message","type":"etcdserverpb.DowngradeInfo","repeated":false,"oneof":""},
  ],
  'etcdserverpb.DowngradeInfo': [
    {"number":1,"name":"enabled","json":"enabled","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"targetVersion","json":"targetVersion","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthEnableRequest': [
  ],
  'etcdserverpb.AuthDisableRequest': [
  ],
  'etcdserverpb.AuthStatusRequest': [
  ],
  'etcdserverpb.AuthenticateRequest': [
    {"number":1,"name":"name","json":"name","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"password","json":"password","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthUserAddRequest': [
    {"number":1,"name":"name","json":"name","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"password","json":"password","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"options","json":"options","kind":"message","type":"authpb.UserAddOptions","repeated":false,"oneof":""},
    {"number":4,"name":"hashedPassword","json":"hashedPassword","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthUserGetRequest': [
    {"number":1,"name":"name","json":"name","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthUserDeleteRequest': [
    {"number":1,"name":"name","json":"name","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthUserChangePasswordRequest': [
    {"number":1,"name":"name","json":"name","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"password","json":"password","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"hashedPassword","json":"hashedPassword","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthUserGrantRoleRequest': [
    {"number":1,"name":"user","json":"user","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"role","json":"role","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthUserRevokeRoleRequest': [
    {"number":1,"name":"name","json":"name","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"role","json":"role","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthRoleAddRequest': [
    {"number":1,"name":"name","json":"name","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthRoleGetRequest': [
    {"number":1,"name":"role","json":"role","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthUserListRequest': [
  ],
  'etcdserverpb.AuthRoleListRequest': [
  ],
  'etcdserverpb.AuthRoleDeleteRequest': [
    {"number":1,"name":"role","json":"role","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthRoleGrantPermissionRequest': [
    {"number":1,"name":"name","json":"name","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"perm","json":"perm","kind":"message","type":"authpb.Permission","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthRoleRevokePermissionRequest': [
    {"number":1,"name":"role","json":"role","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"key","json":"key","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"range_end","json":"rangeEnd","kind":"bytes","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthEnableResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthDisableResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthStatusResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"enabled","json":"enabled","kind":"bool","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"authRevision","json":"authRevision","kind":"uint64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthenticateResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"token","json":"token","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthUserAddResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthUserGetResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"roles","json":"roles","kind":"string","type":"","repeated":true,"oneof":""},
  ],
  'etcdserverpb.AuthUserDeleteResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthUserChangePasswordResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthUserGrantRoleResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthUserRevokeRoleResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthRoleAddResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthRoleGetResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"perm","json":"perm","kind":"message","type":"authpb.Permission","repeated":true,"oneof":""},
  ],
  'etcdserverpb.AuthRoleListResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"roles","json":"roles","kind":"string","type":"","repeated":true,"oneof":""},
  ],
  'etcdserverpb.AuthUserListResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"users","json":"users","kind":"string","type":"","repeated":true,"oneof":""},
  ],
  'etcdserverpb.AuthRoleDeleteResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthRoleGrantPermissionResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.AuthRoleRevokePermissionResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'etcdserverpb.RangeStreamResponse': [
    {"number":1,"name":"range_response","json":"rangeResponse","kind":"message","type":"etcdserverpb.RangeResponse","repeated":false,"oneof":""},
  ],
  'etcdserverpb.RequestHeader': [
    {"number":1,"name":"ID","json":"ID","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"username","json":"username","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"auth_revision","json":"authRevision","kind":"uint64","type":"","repeated":false,"oneof":""},
  ],
  'etcdserverpb.InternalRaftRequest': [
    {"number":1,"name":"ID","json":"ID","kind":"uint64","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"range","json":"range","kind":"message","type":"etcdserverpb.RangeRequest","repeated":false,"oneof":""},
    {"number":4,"name":"put","json":"put","kind":"message","type":"etcdserverpb.PutRequest","repeated":false,"oneof":""},
    {"number":5,"name":"delete_range","json":"deleteRange","kind":"message","type":"etcdserverpb.DeleteRangeRequest","repeated":false,"oneof":""},
    {"number":6,"name":"txn","json":"txn","kind":"message","type":"etcdserverpb.TxnRequest","repeated":false,"oneof":""},
    {"number":7,"name":"compaction","json":"compaction","kind":"message","type":"etcdserverpb.CompactionRequest","repeated":false,"oneof":""},
    {"number":8,"name":"lease_grant","json":"leaseGrant","kind":"message","type":"etcdserverpb.LeaseGrantRequest","repeated":false,"oneof":""},
    {"number":9,"name":"lease_revoke","json":"leaseRevoke","kind":"message","type":"etcdserverpb.LeaseRevokeRequest","repeated":false,"oneof":""},
    {"number":10,"name":"alarm","json":"alarm","kind":"message","type":"etcdserverpb.AlarmRequest","repeated":false,"oneof":""},
    {"number":11,"name":"lease_checkpoint","json":"leaseCheckpoint","kind":"message","type":"etcdserverpb.LeaseCheckpointRequest","repeated":false,"oneof":""},
    {"number":100,"name":"header","json":"header","kind":"message","type":"etcdserverpb.RequestHeader","repeated":false,"oneof":""},
    {"number":1000,"name":"auth_enable","json":"authEnable","kind":"message","type":"etcdserverpb.AuthEnableRequest","repeated":false,"oneof":""},
    {"number":1011,"name":"auth_disable","json":"authDisable","kind":"message","type":"etcdserverpb.AuthDisableRequest","repeated":false,"oneof":""},
    {"number":1012,"name":"authenticate","json":"authenticate","kind":"message","type":"etcdserverpb.InternalAuthenticateRequest","repeated":false,"oneof":""},
    {"number":1013,"name":"auth_status","json":"authStatus","kind":"message","type":"etcdserverpb.AuthStatusRequest","repeated":false,"oneof":""},
    {"number":1100,"name":"auth_user_add","json":"authUserAdd","kind":"message","type":"etcdserverpb.AuthUserAddRequest","repeated":false,"oneof":""},
    {"number":1101,"name":"auth_user_delete","json":"authUserDelete","kind":"message","type":"etcdserverpb.AuthUserDeleteRequest","repeated":false,"oneof":""},
    {"number":1102,"name":"auth_user_get","json":"authUserGet","kind":"message","type":"etcdserverpb.AuthUserGetRequest","repeated":false,"oneof":""},
    {"number":1103,"name":"auth_user_change_password","json":"authUserChangePassword","kind":"message","type":"etcdserverpb.AuthUserChangePasswordRequest","repeated":false,"oneof":""},
    {"number":1104,"name":"auth_user_grant_role","json":"authUserGrantRole","kind":"message","type":"etcdserverpb.AuthUserGrantRoleRequest","repeated":false,"oneof":""},
    {"number":1105,"name":"auth_user_revoke_role","json":"authUserRevokeRole","kind":"message","type":"etcdserverpb.AuthUserRevokeRoleRequest","repeated":false,"oneof":""},
    {"number":1106,"name":"auth_user_list","json":"authUserList","kind":"message","type":"etcdserverpb.AuthUserListRequest","repeated":false,"oneof":""},
    {"number":1107,"name":"auth_role_list","json":"authRoleList","kind":"message","type":"etcdserverpb.AuthRoleListRequest","repeated":false,"oneof":""},
    {"number":1200,"name":"auth_role_add","json":"authRoleAdd","kind":"message","type":"etcdserverpb.AuthRoleAddRequest","repeated":false,"oneof":""},
    {"number":1201,"name":"auth_role_delete","json":"authRoleDelete","kind":"message","type":"etcdserverpb.AuthRoleDeleteRequest","repeated":false,"oneof":""},
    {"number":1202,"name":"auth_role_get","json":"authRoleGet","kind":"message","type":"etcdserverpb.AuthRoleGetRequest","repeated":false,"oneof":""},
    {"number":1203,"name":"auth_role_grant_permission","json":"authRoleGrantPermission","kind":"message","type":"etcdserverpb.AuthRoleGrantPermissionRequest","repeated":false,"oneof":""},
    {"number":1204,"name":"auth_role_revoke_permission","json":"authRoleRevokePermission","kind":"message","type":"etcdserverpb.AuthRoleRevokePermissionRequest","repeated":false,"oneof":""},
    {"number":1300,"name":"cluster_version_set","json":"clusterVersionSet","kind":"message","type":"membershippb.ClusterVersionSetRequest","repeated":false,"oneof":""},
    {"number":1301,"name":"cluster_member_attr_set","json":"clusterMemberAttrSet","kind":"message","type":"membershippb.ClusterMemberAttrSetRequest","repeated":false,"oneof":""},
    {"number":1302,"name":"downgrade_info_set","json":"downgradeInfoSet","kind":"message","type":"membershippb.DowngradeInfoSetRequest","repeated":false,"oneof":""},
    {"number":9900,"name":"downgrade_version_test","json":"downgradeVersionTest","kind":"message","type":"etcdserverpb.DowngradeVersionTestRequest","repeated":false,"oneof":""},
  ],
  'etcdserverpb.EmptyResponse': [
  ],
  'etcdserverpb.InternalAuthenticateRequest': [
    {"number":1,"name":"name","json":"name","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"password","json":"password","kind":"string","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"simple_token","json":"simpleToken","kind":"string","type":"","repeated":false,"oneof":""},
  ],
  'leasepb.Lease': [
    {"number":1,"name":"ID","json":"ID","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"TTL","json":"TTL","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"RemainingTTL","json":"RemainingTTL","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'leasepb.LeaseInternalRequest': [
    {"number":1,"name":"LeaseTimeToLiveRequest","json":"LeaseTimeToLiveRequest","kind":"message","type":"etcdserverpb.LeaseTimeToLiveRequest","repeated":false,"oneof":""},
  ],
  'leasepb.LeaseInternalResponse': [
    {"number":1,"name":"LeaseTimeToLiveResponse","json":"LeaseTimeToLiveResponse","kind":"message","type":"etcdserverpb.LeaseTimeToLiveResponse","repeated":false,"oneof":""},
  ],
  'v3lockpb.LockRequest': [
    {"number":1,"name":"name","json":"name","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"lease","json":"lease","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'v3lockpb.LockResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"key","json":"key","kind":"bytes","type":"","repeated":false,"oneof":""},
  ],
  'v3lockpb.UnlockRequest': [
    {"number":1,"name":"key","json":"key","kind":"bytes","type":"","repeated":false,"oneof":""},
  ],
  'v3lockpb.UnlockResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'v3electionpb.CampaignRequest': [
    {"number":1,"name":"name","json":"name","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"lease","json":"lease","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"value","json":"value","kind":"bytes","type":"","repeated":false,"oneof":""},
  ],
  'v3electionpb.CampaignResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"leader","json":"leader","kind":"message","type":"v3electionpb.LeaderKey","repeated":false,"oneof":""},
  ],
  'v3electionpb.LeaderKey': [
    {"number":1,"name":"name","json":"name","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":2,"name":"key","json":"key","kind":"bytes","type":"","repeated":false,"oneof":""},
    {"number":3,"name":"rev","json":"rev","kind":"int64","type":"","repeated":false,"oneof":""},
    {"number":4,"name":"lease","json":"lease","kind":"int64","type":"","repeated":false,"oneof":""},
  ],
  'v3electionpb.LeaderRequest': [
    {"number":1,"name":"name","json":"name","kind":"bytes","type":"","repeated":false,"oneof":""},
  ],
  'v3electionpb.LeaderResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
    {"number":2,"name":"kv","json":"kv","kind":"message","type":"mvccpb.KeyValue","repeated":false,"oneof":""},
  ],
  'v3electionpb.ResignRequest': [
    {"number":1,"name":"leader","json":"leader","kind":"message","type":"v3electionpb.LeaderKey","repeated":false,"oneof":""},
  ],
  'v3electionpb.ResignResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
  'v3electionpb.ProclaimRequest': [
    {"number":1,"name":"leader","json":"leader","kind":"message","type":"v3electionpb.LeaderKey","repeated":false,"oneof":""},
    {"number":2,"name":"value","json":"value","kind":"bytes","type":"","repeated":false,"oneof":""},
  ],
  'v3electionpb.ProclaimResponse': [
    {"number":1,"name":"header","json":"header","kind":"message","type":"etcdserverpb.ResponseHeader","repeated":false,"oneof":""},
  ],
};

export const methodSchemas: readonly MethodSchema[] = [
  {"service":"etcdserverpb.KV","name":"Range","request":"etcdserverpb.RangeRequest","response":"etcdserverpb.RangeResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/kv/range"]},
  {"service":"etcdserverpb.KV","name":"RangeStream","request":"etcdserverpb.RangeRequest","response":"etcdserverpb.RangeStreamResponse","clientStreaming":false,"serverStreaming":true,"routes":[]},
  {"service":"etcdserverpb.KV","name":"Put","request":"etcdserverpb.PutRequest","response":"etcdserverpb.PutResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/kv/put"]},
  {"service":"etcdserverpb.KV","name":"DeleteRange","request":"etcdserverpb.DeleteRangeRequest","response":"etcdserverpb.DeleteRangeResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/kv/deleterange"]},
  {"service":"etcdserverpb.KV","name":"Txn","request":"etcdserverpb.TxnRequest","response":"etcdserverpb.TxnResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/kv/txn"]},
  {"service":"etcdserverpb.KV","name":"Compact","request":"etcdserverpb.CompactionRequest","response":"etcdserverpb.CompactionResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/kv/compaction"]},
  {"service":"etcdserverpb.Watch","name":"Watch","request":"etcdserverpb.WatchRequest","response":"etcdserverpb.WatchResponse","clientStreaming":true,"serverStreaming":true,"routes":["/v3/watch"]},
  {"service":"etcdserverpb.Lease","name":"LeaseGrant","request":"etcdserverpb.LeaseGrantRequest","response":"etcdserverpb.LeaseGrantResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/lease/grant"]},
  {"service":"etcdserverpb.Lease","name":"LeaseRevoke","request":"etcdserverpb.LeaseRevokeRequest","response":"etcdserverpb.LeaseRevokeResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/lease/revoke","/v3/kv/lease/revoke"]},
  {"service":"etcdserverpb.Lease","name":"LeaseKeepAlive","request":"etcdserverpb.LeaseKeepAliveRequest","response":"etcdserverpb.LeaseKeepAliveResponse","clientStreaming":true,"serverStreaming":true,"routes":["/v3/lease/keepalive"]},
  {"service":"etcdserverpb.Lease","name":"LeaseTimeToLive","request":"etcdserverpb.LeaseTimeToLiveRequest","response":"etcdserverpb.LeaseTimeToLiveResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/lease/timetolive","/v3/kv/lease/timetolive"]},
  {"service":"etcdserverpb.Lease","name":"LeaseLeases","request":"etcdserverpb.LeaseLeasesRequest","response":"etcdserverpb.LeaseLeasesResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/lease/leases","/v3/kv/lease/leases"]},
  {"service":"etcdserverpb.Cluster","name":"MemberAdd","request":"etcdserverpb.MemberAddRequest","response":"etcdserverpb.MemberAddResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/cluster/member/add"]},
  {"service":"etcdserverpb.Cluster","name":"MemberRemove","request":"etcdserverpb.MemberRemoveRequest","response":"etcdserverpb.MemberRemoveResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/cluster/member/remove"]},
  {"service":"etcdserverpb.Cluster","name":"MemberUpdate","request":"etcdserverpb.MemberUpdateRequest","response":"etcdserverpb.MemberUpdateResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/cluster/member/update"]},
  {"service":"etcdserverpb.Cluster","name":"MemberList","request":"etcdserverpb.MemberListRequest","response":"etcdserverpb.MemberListResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/cluster/member/list"]},
  {"service":"etcdserverpb.Cluster","name":"MemberPromote","request":"etcdserverpb.MemberPromoteRequest","response":"etcdserverpb.MemberPromoteResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/cluster/member/promote"]},
  {"service":"etcdserverpb.Maintenance","name":"Alarm","request":"etcdserverpb.AlarmRequest","response":"etcdserverpb.AlarmResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/maintenance/alarm"]},
  {"service":"etcdserverpb.Maintenance","name":"Status","request":"etcdserverpb.StatusRequest","response":"etcdserverpb.StatusResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/maintenance/status"]},
  {"service":"etcdserverpb.Maintenance","name":"Defragment","request":"etcdserverpb.DefragmentRequest","response":"etcdserverpb.DefragmentResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/maintenance/defragment"]},
  {"service":"etcdserverpb.Maintenance","name":"Hash","request":"etcdserverpb.HashRequest","response":"etcdserverpb.HashResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/maintenance/hash"]},
  {"service":"etcdserverpb.Maintenance","name":"HashKV","request":"etcdserverpb.HashKVRequest","response":"etcdserverpb.HashKVResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/maintenance/hashkv"]},
  {"service":"etcdserverpb.Maintenance","name":"Snapshot","request":"etcdserverpb.SnapshotRequest","response":"etcdserverpb.SnapshotResponse","clientStreaming":false,"serverStreaming":true,"routes":["/v3/maintenance/snapshot"]},
  {"service":"etcdserverpb.Maintenance","name":"MoveLeader","request":"etcdserverpb.MoveLeaderRequest","response":"etcdserverpb.MoveLeaderResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/maintenance/transfer-leadership"]},
  {"service":"etcdserverpb.Maintenance","name":"Downgrade","request":"etcdserverpb.DowngradeRequest","response":"etcdserverpb.DowngradeResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/maintenance/downgrade"]},
  {"service":"etcdserverpb.Auth","name":"AuthEnable","request":"etcdserverpb.AuthEnableRequest","response":"etcdserverpb.AuthEnableResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/enable"]},
  {"service":"etcdserverpb.Auth","name":"AuthDisable","request":"etcdserverpb.AuthDisableRequest","response":"etcdserverpb.AuthDisableResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/disable"]},
  {"service":"etcdserverpb.Auth","name":"AuthStatus","request":"etcdserverpb.AuthStatusRequest","response":"etcdserverpb.AuthStatusResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/status"]},
  {"service":"etcdserverpb.Auth","name":"Authenticate","request":"etcdserverpb.AuthenticateRequest","response":"etcdserverpb.AuthenticateResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/authenticate"]},
  {"service":"etcdserverpb.Auth","name":"UserAdd","request":"etcdserverpb.AuthUserAddRequest","response":"etcdserverpb.AuthUserAddResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/user/add"]},
  {"service":"etcdserverpb.Auth","name":"UserGet","request":"etcdserverpb.AuthUserGetRequest","response":"etcdserverpb.AuthUserGetResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/user/get"]},
  {"service":"etcdserverpb.Auth","name":"UserList","request":"etcdserverpb.AuthUserListRequest","response":"etcdserverpb.AuthUserListResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/user/list"]},
  {"service":"etcdserverpb.Auth","name":"UserDelete","request":"etcdserverpb.AuthUserDeleteRequest","response":"etcdserverpb.AuthUserDeleteResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/user/delete"]},
  {"service":"etcdserverpb.Auth","name":"UserChangePassword","request":"etcdserverpb.AuthUserChangePasswordRequest","response":"etcdserverpb.AuthUserChangePasswordResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/user/changepw"]},
  {"service":"etcdserverpb.Auth","name":"UserGrantRole","request":"etcdserverpb.AuthUserGrantRoleRequest","response":"etcdserverpb.AuthUserGrantRoleResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/user/grant"]},
  {"service":"etcdserverpb.Auth","name":"UserRevokeRole","request":"etcdserverpb.AuthUserRevokeRoleRequest","response":"etcdserverpb.AuthUserRevokeRoleResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/user/revoke"]},
  {"service":"etcdserverpb.Auth","name":"RoleAdd","request":"etcdserverpb.AuthRoleAddRequest","response":"etcdserverpb.AuthRoleAddResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/role/add"]},
  {"service":"etcdserverpb.Auth","name":"RoleGet","request":"etcdserverpb.AuthRoleGetRequest","response":"etcdserverpb.AuthRoleGetResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/role/get"]},
  {"service":"etcdserverpb.Auth","name":"RoleList","request":"etcdserverpb.AuthRoleListRequest","response":"etcdserverpb.AuthRoleListResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/role/list"]},
  {"service":"etcdserverpb.Auth","name":"RoleDelete","request":"etcdserverpb.AuthRoleDeleteRequest","response":"etcdserverpb.AuthRoleDeleteResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/role/delete"]},
  {"service":"etcdserverpb.Auth","name":"RoleGrantPermission","request":"etcdserverpb.AuthRoleGrantPermissionRequest","response":"etcdserverpb.AuthRoleGrantPermissionResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/role/grant"]},
  {"service":"etcdserverpb.Auth","name":"RoleRevokePermission","request":"etcdserverpb.AuthRoleRevokePermissionRequest","response":"etcdserverpb.AuthRoleRevokePermissionResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/auth/role/revoke"]},
  {"service":"v3lockpb.Lock","name":"Lock","request":"v3lockpb.LockRequest","response":"v3lockpb.LockResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/lock/lock"]},
  {"service":"v3lockpb.Lock","name":"Unlock","request":"v3lockpb.UnlockRequest","response":"v3lockpb.UnlockResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/lock/unlock"]},
  {"service":"v3electionpb.Election","name":"Campaign","request":"v3electionpb.CampaignRequest","response":"v3electionpb.CampaignResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/election/campaign"]},
  {"service":"v3electionpb.Election","name":"Proclaim","request":"v3electionpb.ProclaimRequest","response":"v3electionpb.ProclaimResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/election/proclaim"]},
  {"service":"v3electionpb.Election","name":"Leader","request":"v3electionpb.LeaderRequest","response":"v3electionpb.LeaderResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/election/leader"]},
  {"service":"v3electionpb.Election","name":"Observe","request":"v3electionpb.LeaderRequest","response":"v3electionpb.LeaderResponse","clientStreaming":false,"serverStreaming":true,"routes":["/v3/election/observe"]},
  {"service":"v3electionpb.Election","name":"Resign","request":"v3electionpb.ResignRequest","response":"v3electionpb.ResignResponse","clientStreaming":false,"serverStreaming":false,"routes":["/v3/election/resign"]},
];
