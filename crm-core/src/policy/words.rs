//! Names that histories and operations are asked for by the thousand.

use cib::Word;

pub const ATTRIBUTES: Word = Word::of("attributes");
pub const CALL_ID: Word = Word::of("call-id");
pub const CLASS: Word = Word::of("class");
pub const CRM_FEATURE_SET: Word = Word::of("crm_feature_set");
pub const ENABLED: Word = Word::of("enabled");
pub const ID: Word = Word::of("id");
pub const ID_REF: Word = Word::of("id-ref");
pub const INTERVAL: Word = Word::of("interval");
pub const LAST_RC_CHANGE: Word = Word::of("last-rc-change");
pub const LRM_RESOURCE: Word = Word::of("lrm_resource");
pub const LRM_RSC_OP: Word = Word::of("lrm_rsc_op");
pub const NAME: Word = Word::of("name");
pub const NVPAIR: Word = Word::of("nvpair");
pub const ON_NODE: Word = Word::of("on_node");
pub const OPERATION: Word = Word::of("operation");
pub const OPERATION_KEY: Word = Word::of("operation_key");
pub const OP_DIGEST: Word = Word::of("op-digest");
pub const OP_FORCE_RESTART: Word = Word::of("op-force-restart");
pub const OP_RESTART_DIGEST: Word = Word::of("op-restart-digest");
pub const OP_SECURE_DIGEST: Word = Word::of("op-secure-digest");
pub const OP_SECURE_PARAMS: Word = Word::of("op-secure-params");
pub const OP_STATUS: Word = Word::of("op-status");
pub const PROVIDER: Word = Word::of("provider");
pub const RC_CODE: Word = Word::of("rc-code");
pub const ROLE: Word = Word::of("role");
pub const RULE: Word = Word::of("rule");
pub const SCORE: Word = Word::of("score");
pub const TIMEOUT: Word = Word::of("timeout");
pub const TRANSITION_KEY: Word = Word::of("transition-key");
pub const TRANSITION_MAGIC: Word = Word::of("transition-magic");
pub const TYPE: Word = Word::of("type");
pub const VALUE: Word = Word::of("value");
