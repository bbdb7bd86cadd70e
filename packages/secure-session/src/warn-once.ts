import type { FastifyBaseLogger } from 'fastify'

/** Logs a warning the first time it is called. */
export function warnOnce (log: FastifyBaseLogger, code: string, text: string): () => void {
  let isWarned = false
  return () => {
    if (isWarned) return
    isWarned = true
    log.warn({ code }, text)
  }
}
