// Every bound of the program, with its unit and its reason.
import { GIB, KIB, MIB } from './bytes.ts';

/** 64 KiB: the cluster of qcow2 and the grain of QEMU's dirty bitmaps (docs/decisions/0002-chunk-and-frame-size.md). */
export const CHUNK_SIZE_BYTES = 64 * KIB;
/** Chunks that one worker reads, hashes and seals in one go: 4 MiB amortises messages and stays small in memory. */
export const SEGMENT_CHUNK_COUNT = 64;
export const SEGMENT_SIZE_BYTES = SEGMENT_CHUNK_COUNT * CHUNK_SIZE_BYTES;
/** Chunks compressed and sealed as one: the ratio of zstd at 1 MiB with the granularity of 64 KiB. */
export const FRAME_CHUNK_COUNT = 16;
/** Entries of a page; one page of level 0 maps 64 MiB of volume. */
export const PAGE_ENTRY_COUNT = 1024;
/** Stored bytes at which a pack is closed: large enough for few objects, small enough to be rewritten by compaction. */
export const PACK_TARGET_BYTES = 64 * MIB;
/** Slots of a pack: a slot number has 16 bits and 0xFFFF is kept free. */
export const PACK_SLOT_COUNT_MAX = 65_535;
/** Largest trailer: 32 bytes a slot plus the frame table; anything larger is damage. */
export const TRAILER_SIZE_MAX_BYTES = 4 * MIB;
/** Largest record or page object; anything larger is damage. */
export const RECORD_SIZE_MAX_BYTES = 4 * MIB;
/** Characters of an object's name and of one of its segments: what every file system takes. */
export const OBJECT_NAME_MAX = 512;
export const OBJECT_NAME_SEGMENT_MAX = 255;
/** Written by a restore before the disk is asked to take it: a second of a slow disk, and little memory beside it. */
export const RESTORE_WRITE_BACK_BYTES = 64 * MIB;
/** Files that a folder store keeps open for reading: more than the packs one restore reads from at a time. */
export const STORE_OPEN_FILE_MAX = 64;
/** Folders that a folder store remembers to be durable: about 20 projects' worth, 1 MiB. */
export const STORE_KNOWN_FOLDER_MAX = 10_000;
/** Small file operations (stat, unlink) that one listing or deletion has under way: enough for a slow disk's queue. */
export const STORE_SMALL_OPERATION_MAX = 16;
/** 16 TiB: largest volume, so that offsets stay exact and pages fit three levels. */
export const VOLUME_SIZE_MAX_BYTES = 16 * 1024 * GIB;
/** Longest stretch of looking for extents on the main thread before other work gets its turn: a look takes 1 us. */
export const EXTENT_LOOKUP_COUNT = 1000;
/** Bytes of a disk that a copy inside this machine reads at once: looking through them for zeros takes 0.1 ms. */
export const COPY_PIECE_BYTES = MIB;
/** Pieces under way in one copy: enough to have the disk busy while others are looked through. */
export const COPY_LANE_COUNT = 4;
/** Pages of a volume gone through on the main thread before other work gets its turn: an empty one takes 10 us. */
export const PAGE_WALK_COUNT = 64;
/** Two ticks of a kernel at 100 Hz: a write this long after another has another time stamp. */
export const TIME_STAMP_GRAIN_MS = 20;
/** The same on file systems that keep whole seconds (ext3: 1 s, FAT: 2 s). */
export const TIME_STAMP_COARSE_GRAIN_MS = 2050;
/**
 * Chunks called unchanged that a backup reads all the same (2 MiB): of a driver that is wrong about a tenth of them, 97
 * in 100 backups find out.
 */
export const CHANGE_SAMPLE_COUNT = 32;
/** Baselines that one round of their sweep takes from the catalog. */
export const BASELINE_BATCH_COUNT = 100;
/** Memory for the trailers of packs that lookups and restores touch. */
export const TRAILER_CACHE_BYTES = 48 * MIB;
/** Packs that one 4 MiB segment is compared with (Lillibridge et al., FAST 2009: few champions find nearly all). */
export const DEDUP_CANDIDATE_MAX = 8;
/** Packs kept for one hook: more would only be copies of the same run. */
export const HOOK_PACK_MAX = 4;

/** Request bodies above this answer 413 (contract 1.10). */
export const REQUEST_BODY_MAX_BYTES = 114_688;
/** Largest page of a list (contract 1.8). */
export const LIST_LIMIT_MAX = 1000;
/** Tags of one backup (contract 3.2). */
export const BACKUP_TAG_MAX = 10;
/** Audit traces are kept this long: a quarter, as reviews go. */
export const TRACE_KEEP_DAYS = 90;
/** Finished jobs are listed this long (contract 3.6). */
export const JOB_KEEP_DAYS = 30;
/** Messages about failures are kept this long, as jobs are: they tell of the same. */
export const MESSAGE_KEEP_DAYS = 30;
/** Entries of the permitted folders that one search for disks to adopt looks at: a search must end. */
export const ADOPTABLE_ENTRY_MAX = 10_000;
/** Folders below a permitted one that such a search goes down. */
export const ADOPTABLE_DEPTH_MAX = 8;
/** Tasks of policies are listed this long (contract 3.13). */
export const TASK_KEEP_DAYS = 30;
/** A due time that was missed by less runs late, once; by more it is recorded as SKIP (contract 5.4). */
export const RUN_CATCH_UP_MS = 3600 * 1000;
/** Due times that ran are known this long: clocks that go wrong do so by less, and a row is small. */
export const RUN_KEEP_DAYS = 400;
/** How often the scheduler looks for due times and waiting tasks: full hours need no more. */
export const SCHEDULER_POLL_MS = 1000;
/** Due times and waiting tasks read at once. */
export const SCHEDULER_BATCH_COUNT = 100;
/** How often the watchdog looks at open tasks. */
export const WATCHDOG_INTERVAL_MS = 10_000;
/** A task that has not finished after this long is EXECUTE_TIMEOUT (contract 5.5). */
export const TASK_TIMEOUT_MS = 24 * 3600 * 1000;
/** So is one whose job has run this long without handling a byte: the slowest disk is faster. */
export const TASK_STALL_MS = 2 * 3600 * 1000;
/** A lost worker's job is taken over this long after its last sign of life. */
export const JOB_LEASE_MS = 30_000;
/** Failed tries of a job before it fails for good: transient trouble passes, the rest needs a person. */
export const JOB_FAILURE_MAX = 3;
/** Takes of a job from runners that died in it: one that brings the process down each time must end some day. */
export const JOB_CRASH_MAX = 100;
/** First delay before a failed job is tried again; four times as long after each further failure. */
export const JOB_RETRY_DELAY_MS = 1000;
/** Deletions at once on one host: they are short, and must not wait behind backups. */
export const JOB_DELETE_MAX = 2;
/** Snapshots and copies of disks at once on one host: mostly short, and they must not wait behind backups. */
export const JOB_COPY_MAX = 2;
/** How often the runner looks for jobs that others queued or that became due. */
export const JOB_POLL_MS = 1000;
/** Progress goes to the job's row at most this often: each write is a durable commit. */
export const JOB_PROGRESS_WRITE_MS = 1000;
/** Window over which the rate of a job is averaged: long enough to be steady, short enough to follow. */
export const PROGRESS_WINDOW_MS = 10_000;
/** Waiting longer than this for the catalog's writer is an error: something holds a transaction open. */
export const CATALOG_WRITER_WAIT_MS = 60_000;
/** Statements that one SQLite connection keeps prepared. */
export const CATALOG_STATEMENT_CACHE_MAX = 256;
/** PostgreSQL connections of one process. */
export const CATALOG_POOL_MAX = 10;
/** Whole transactions tried again after a deadlock or serialization failure. */
export const CATALOG_RETRY_MAX = 5;
/** Hooks entered in one transaction: the row lock of the project is held meanwhile. */
export const HOOK_BATCH_COUNT = 5000;
/** Trash is deleted a second time this long after the first, for a PUT that came late (src/engine/README.md). */
export const TRASH_SECOND_DELETE_MS = 24 * 3600 * 1000;
/** Packs condemned in one transaction: the row lock of the project is held meanwhile, about 20 ms. */
export const CONDEMN_BATCH_COUNT = 200;
/** Dead part of a pack at which it is written anew: half costs one byte written for each byte freed. */
export const COMPACT_SHARE = 0.5;
/** Bytes that compactions free between two sweeps: so much more may lie on a disk that is nearly full. */
export const COMPACT_SWEEP_BYTES = 512 * MIB;
/** Objects that no row names and failed compactions that a report of prune lists. */
export const PRUNE_REPORT_MAX = 100;
/** After an adoption nothing is condemned for a week: what a listing missed has time to turn up. */
export const ADOPTION_QUARANTINE_MS = 7 * 24 * 3600 * 1000;
/** Objects that a rebuild of the catalog reads at the same time: small reads, which wait for the disk. */
export const REBUILD_READ_COUNT = 32;
/** Packs or backups that a rebuild enters in one transaction. */
export const REBUILD_BATCH_COUNT = 500;
/** Labels written in one round of upkeep; the rest come with the next. */
export const LABEL_BATCH_COUNT = 1000;
/** Life of an identity token: Keystone deployments use 1 to 24 hours. */
export const TOKEN_LIFE_MS = 24 * 3600 * 1000;
/** Age at which a key stops signing tokens: a leaked one is of use for a month and a token's life at most. */
export const TOKEN_KEY_ROTATION_MS = 30 * 24 * 3600 * 1000;
/** How long keys read from the catalog count as current: what another process changed is seen after this. */
export const TOKEN_KEY_REFRESH_MS = 60_000;
/** Failed logins of one user, and from one address, before more are refused without being tried. */
export const LOGIN_FAILURES_PER_USER = 10;
export const LOGIN_FAILURES_PER_ADDRESS = 100;
/** Time in which they are counted, and after which counting begins anew. */
export const LOGIN_FAILURE_WINDOW_MS = 5 * 60 * 1000;
/** Users and addresses whose logins are remembered: about 2 MiB. */
export const LOGIN_TRACK_MAX = 10_000;
/** Right passwords that are recognised without hashing: about 200 KiB. */
export const KNOWN_PASSWORD_MAX = 1000;
/** Tokens of an external Keystone that are remembered: about 10 MiB. */
export const KEYSTONE_CACHE_MAX = 10_000;
/** Oldest answer of Keystone that is believed: a token revoked there lives here this long at most. */
export const KEYSTONE_CACHE_MS = 5 * 60 * 1000;
/** Questions to Keystone at once, and waiting: beyond, requests are refused instead of piling up. */
export const KEYSTONE_CALL_MAX = 16;
export const KEYSTONE_WAITING_MAX = 256;
/** Keystone answers within this, or counts as unreachable. */
export const KEYSTONE_ANSWER_MS = 10_000;
/** Password checks in the queue: they run one by one at 0.2 s, so the last would wait a quarter of a minute. */
export const PASSWORD_CHECK_WAITING_MAX = 64;
/** Trash that could not be deleted at once is swept, and what has expired is forgotten, at least this often. */
export const UPKEEP_INTERVAL_MS = 3600 * 1000;
/** A deletion that has to wait for readers looks again after this long. */
export const DELETE_RETRY_MS = 1000;
/** Requests under way get this long to end when the service stops. */
export const SERVER_CLOSE_MS = 5000;
/** Time between two rounds of the scrub: each reads what is due of a day's work, so that it is never noticed. */
export const SCRUB_ROUND_MS = 15 * 60 * 1000;
/** Part of its time that a round of the scrub may spend on giving way: in the rest it has to read what is due. */
export const SCRUB_YIELD_SHARE = 0.5;
/** Bytes a second that scrubs and compactions go on with, whatever else does: a second's wait for a read of 8 MiB. */
export const BACKGROUND_MIN_BYTES_PER_SECOND = 8 * MIB;
