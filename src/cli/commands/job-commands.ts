// `openvbs job ...`: the work of the server.
import type { JobInfo } from '../../client/resources.ts';
import { usageError } from '../cli-error.ts';
import type { Command, CommandContext } from '../command.ts';
import { connect } from '../connection.ts';
import { EXIT, type ExitCode } from '../exit-code.ts';
import { followJob, jobFailed } from '../follow-job.ts';
import { formatBytes, formatDuration, formatRate, formatTime, renderFields, renderTable } from '../format.ts';
import { printResult } from '../output.ts';

const JOB_ARGUMENT = { name: 'JOB', doc: 'id of a job' } as const;
const STATUSES = ['INIT', 'RUNNING', 'SUCCESS', 'FAIL'] as const;
const LIST_LIMIT_DEFAULT = 50;

const listJobs: Command = {
  path: ['job', 'list'],
  summary: 'list jobs, newest first',
  args: [],
  options: [
    { flag: 'status', kind: 'text', hint: 'STATUS', doc: `only jobs that are ${STATUSES.join(', ')}` },
    {
      flag: 'limit',
      kind: 'text',
      hint: 'COUNT',
      doc: `at most so many, up to 1000; by default ${LIST_LIMIT_DEFAULT}`,
    },
  ],
  isRemote: true,
  examples: ['job list', 'job list --status RUNNING'],
  run: async (context) => {
    const { flags, signal } = context;
    const status = flags.text('status')?.toUpperCase();
    if (status !== undefined && !STATUSES.some((known) => known === status)) {
      throw usageError(`--status ${status}: must be one of ${STATUSES.join(', ')}`);
    }
    const limit = Number(flags.text('limit') ?? LIST_LIMIT_DEFAULT);
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000)
      throw usageError('--limit: a whole number from 1 to 1000');
    const client = await connect(context);
    const jobs = await client.listJobs({ limit, ...(status === undefined ? {} : { status }) }, signal);
    const table = renderTable<JobInfo>(
      [
        { title: 'ID', cell: ({ id }) => id },
        { title: 'TYPE', cell: ({ type }) => type },
        { title: 'STATUS', cell: ({ status: current }) => current },
        { title: 'DONE', isRight: true, cell: percentOf },
        { title: 'BEGUN', cell: ({ beginAt }) => formatTime(beginAt) },
        { title: 'REASON', cell: ({ failReason }) => failReason ?? '' },
      ],
      jobs,
      'No jobs.',
    );
    printResult(context, { jobs }, table);
    return EXIT.OK;
  },
};

function percentOf({ status, progress }: JobInfo): string {
  if (status === 'SUCCESS') return '100 %';
  return progress?.percent == null ? '-' : `${Math.floor(progress.percent)} %`;
}

const showJob: Command = {
  path: ['job', 'show'],
  summary: 'show one job',
  args: [JOB_ARGUMENT],
  options: [],
  isRemote: true,
  examples: ['job show 5f6f4d0e-8d1c-4d0b-9b5e-2f0d3c1b2a19'],
  run: async (context) => {
    const client = await connect(context);
    return printJob(context, await client.getJob(context.args[0] ?? '', context.signal));
  },
};

const watchJob: Command = {
  path: ['job', 'watch'],
  summary: 'wait for a job and show its progress; exit code 6 when it fails',
  args: [JOB_ARGUMENT],
  options: [],
  isRemote: true,
  examples: ['job watch 5f6f4d0e-8d1c-4d0b-9b5e-2f0d3c1b2a19'],
  run: async (context) => {
    const client = await connect(context);
    const job = await followJob(context, client, context.args[0] ?? '');
    if (job.status === 'FAIL') throw jobFailed(job, context.program);
    return printJob(context, job);
  },
};

function printJob(context: CommandContext, job: JobInfo): ExitCode {
  const { progress } = job;
  const fields: (readonly [string, string])[] = [
    ['ID', job.id],
    ['Type', job.type],
    ['Status', job.status],
    ['Volume', job.volumeId ?? '-'],
    ['Backup', job.backupId ?? '-'],
    ['Begun', formatTime(job.beginAt)],
    ['Ended', formatTime(job.endAt)],
  ];
  if (job.status === 'FAIL') fields.push(['Reason', `${job.failReason ?? '-'} (${job.errorCode ?? 'no code'})`]);
  if (progress !== null) {
    fields.push(['Done', percentOf(job)]);
    fields.push(['Bytes', `${formatBytes(progress.doneBytes)} handled, ${formatBytes(progress.skippedBytes)} skipped`]);
    fields.push(['Stored', formatBytes(progress.storedBytes)]);
    if (progress.rateBytesPerS !== null) fields.push(['Rate', formatRate(progress.rateBytesPerS)]);
    if (progress.etaS !== null && job.endAt === null) fields.push(['Left', formatDuration(progress.etaS)]);
  }
  printResult(context, { job }, renderFields(fields));
  return EXIT.OK;
}

export const JOB_COMMANDS: readonly Command[] = [listJobs, showJob, watchJob];
