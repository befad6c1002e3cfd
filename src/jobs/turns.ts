// Which project is next: the one that was served longest ago, so that a long queue of one keeps nobody else waiting.
import type { ProjectId } from '../core/ids.ts';
import type { Job } from '../core/model.ts';

/** Projects whose turn is remembered; beyond that, those that have nothing waiting are forgotten. */
const REMEMBERED_MAX = 1000;

/** Orders jobs by the turn of their projects, then by age. Forgets turns that no longer matter. */
export function planTurns(jobs: readonly Job[], turns: Map<ProjectId, number>): Job[] {
  if (turns.size > REMEMBERED_MAX) {
    const waiting = new Set(jobs.map((job) => job.projectId));
    for (const projectId of [...turns.keys()]) {
      if (!waiting.has(projectId)) {
        turns.delete(projectId);
      }
    }
  }
  const turnOf = (job: Job) => turns.get(job.projectId) ?? 0;
  return jobs.toSorted((a, b) => turnOf(a) - turnOf(b) || a.createdAt - b.createdAt || compareText(a.jobId, b.jobId));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
