// What schedules are made of: operations, and how frequent each is.

export const OPERATIONS = [
  'backup',
  'full-backup',
  'read',
  'read-shared',
  'verify',
  'delete',
  'prune',
  'sweep',
  'check',
  'repair',
  'scrub',
  'take-over',
  'crash',
  'power-loss',
  'fault',
  'misread',
  'late-call',
  'copy-catalog',
  'set-back',
  'fail-over',
  'adopt',
  'rebuild',
  'listing-lag',
  'reset-status',
  'an-hour',
  'a-day',
] as const;
export type Operation = (typeof OPERATIONS)[number];

/** How a schedule is made up: what is frequent in it. */
export type Profile = {
  /** Of all schedules; those of a mutation need none. */
  readonly share?: number;
  readonly weights: Partial<Record<Operation, number>>;
  /** Over how many steps its plan is spread; 300 unless set. */
  readonly steps?: number;
};

export const PROFILES: readonly Profile[] = [
  {
    share: 5,
    weights: {
      backup: 8,
      'full-backup': 3,
      read: 2,
      'read-shared': 2,
      verify: 1,
      delete: 6,
      prune: 7,
      sweep: 1,
      check: 1,
      scrub: 0.5,
      'take-over': 3,
    },
  },
  {
    share: 3,
    weights: {
      backup: 8,
      'full-backup': 2,
      read: 1,
      'read-shared': 1,
      verify: 1,
      delete: 4,
      prune: 5,
      check: 1,
      repair: 0.5,
      'take-over': 2,
      crash: 3,
      'power-loss': 2,
      fault: 7,
      'late-call': 3,
      'reset-status': 2,
      'an-hour': 1,
      'a-day': 1,
    },
  },
  {
    share: 2,
    weights: {
      backup: 8,
      'full-backup': 2,
      read: 1,
      delete: 4,
      prune: 5,
      check: 1,
      'take-over': 1,
      crash: 1,
      'power-loss': 0.5,
      'late-call': 1,
      'copy-catalog': 3,
      'set-back': 1.5,
      'fail-over': 2,
      adopt: 1.5,
      'listing-lag': 1,
      'a-day': 0.5,
    },
  },
  {
    // Chunks die and come again, and much looks at them meanwhile.
    share: 3,
    steps: 900,
    weights: { backup: 4, 'full-backup': 8, read: 1, verify: 3, delete: 8, prune: 8, check: 3, repair: 1, scrub: 1 },
  },
  {
    share: 2,
    weights: {
      backup: 6,
      'full-backup': 3,
      read: 3,
      verify: 2,
      delete: 4,
      prune: 5,
      check: 2,
      repair: 4,
      scrub: 3,
      misread: 8,
      'take-over': 1,
      crash: 1,
    },
  },
  {
    share: 2,
    weights: {
      backup: 7,
      'full-backup': 3,
      read: 1,
      verify: 1,
      delete: 5,
      prune: 6,
      check: 1,
      'take-over': 2,
      crash: 2,
      'power-loss': 0.5,
      fault: 2,
      'late-call': 1,
      rebuild: 3,
      'a-day': 0.5,
    },
  },
  {
    // Catalogs are lost while they prune, made anew, and turn up again when the new ones have used what was given up.
    share: 1,
    steps: 900,
    weights: { 'full-backup': 9, delete: 8, prune: 9, crash: 2, rebuild: 4, 'set-back': 3, adopt: 1 },
  },
];
