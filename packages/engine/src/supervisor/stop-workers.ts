import { WorkersNotStopped } from '../errors.js'
import type { WorkerProcess } from './worker-process.js'

/** ms that a worker has, after the deadline of the drain, before it is killed. */
const LAST_WORDS = 5_000

/**
 * Ends workers, each with a drain; when the deadline has come, at once.
 *
 * @param isHandedOver others serve already: drain for as long as clients were promised
 * @throws `FST_KEEP_ENGINE_WORKERS_NOT_STOPPED` if one did not end cleanly
 */
export async function stopWorkers (workers: readonly WorkerProcess[], deadline: AbortSignal, isHandedOver: boolean): Promise<void> {
  for (const worker of workers) {
    if (worker.servesSince === 0) worker.end().catch(() => {})
    else if (isHandedOver) worker.retire()
    else worker.terminate()
  }
  let killing: NodeJS.Timeout | undefined
  const hurry = (): void => {
    for (const worker of workers) worker.hurry()
    killing = setTimeout(() => { for (const worker of workers) if (worker.state !== 'ended') worker.kill() }, LAST_WORDS)
  }
  if (deadline.aborted) hurry()
  deadline.addEventListener('abort', hurry, { once: true })
  const ends = await Promise.all(workers.map(async worker => ({ worker, ...await worker.ended })))
  clearTimeout(killing)
  deadline.removeEventListener('abort', hurry)
  const unclean = ends.filter(({ worker, code, signal }) => worker.servesSince !== 0 && (signal !== null || code !== 0))
  if (unclean.length > 0) throw new WorkersNotStopped(unclean.map(({ worker: { slot, pid }, code, signal }) => `worker ${slot} (${pid}) ended with ${signal ?? `code ${code}`}`).join('; '))
}
