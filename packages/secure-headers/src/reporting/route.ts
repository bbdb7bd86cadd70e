import { createHash } from 'node:crypto'
import diagnosticsChannel from 'node:diagnostics_channel'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { ReportInvalid, ReportRateExceeded } from '../errors.js'
import { REPORTING_DEFAULTS, type ReportingOptions } from './options.js'
import { firstOfLike, perMinute } from './limits.js'
import { readReports, type SecurityReport } from './report.js'

/** Name of the `node:diagnostics_channel` on which each report is published, as a {@link SecurityReportMessage}. */
export const REPORT_CHANNEL = 'fastkeep:secure-headers:report'

export interface SecurityReportMessage {
  readonly report: SecurityReport
  /** Like reports since the last that was published, which were not. */
  readonly repeats: number
  readonly request: FastifyRequest
}

const MEDIA_TYPES = ['application/csp-report', 'application/reports+json']

/**
 * Adds the route to which browsers send their reports. It answers 204; 400 for what is no report, 413 for a body over
 * the limit, 415 for another media type, 429 for a client that sends too many.
 */
export async function addReportRoute (fastify: FastifyInstance, options: ReportingOptions, path: string): Promise<void> {
  const settings = { ...REPORTING_DEFAULTS, ...options }
  const channel = diagnosticsChannel.channel(REPORT_CHANNEL)
  const mayAsk = perMinute(settings.perMinute)
  const mayReport = perMinute(settings.reportsPerMinute)
  const seen = firstOfLike(settings.deduplicateFor * 1000)
  let dropped = 0

  function take (report: SecurityReport, request: FastifyRequest): void {
    const key = likeness(report)
    const repeats = seen.repeats(key)
    if (repeats === undefined) return
    if (!mayReport('')) {
      // Nobody was told of it, so the next like it is the first.
      seen.forget(key)
      dropped++
      return
    }
    request.log.warn({ code: 'FST_KEEP_SECURE_HEADERS_REPORT', report, repeats, dropped }, `a browser reports: ${report.type}`)
    dropped = 0
    if (channel.hasSubscribers) channel.publish({ report, repeats, request } satisfies SecurityReportMessage)
  }

  // A scope of its own: the media types of reports are nobody else's business.
  await fastify.register(async scope => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(MEDIA_TYPES, { parseAs: 'string', bodyLimit: settings.bodyLimit }, (_request, body, done) => {
      try {
        done(null, JSON.parse(body as string))
      } catch {
        done(new ReportInvalid('it is no JSON'))
      }
    })
    scope.post(path, {
      bodyLimit: settings.bodyLimit,
      onRequest: async (request, reply) => {
        if (mayAsk(request.ip)) return
        reply.header('retry-after', '60')
        throw new ReportRateExceeded()
      },
    }, async (request, reply) => {
      const reports = readReports(request.body, request.headers['user-agent'] ?? '')
      if (reports.length === 0) throw new ReportInvalid('nothing has the form of a report')
      for (const report of reports) take(report, request)
      return await reply.code(204).send()
    })
  })
}

/** Reports about one fault have this in common, whoever sends them; a digest, since thousands of them are kept. */
function likeness ({ type, url, body }: SecurityReport): string {
  const { effectiveDirective, blockedURL, sourceFile, lineNumber, disposition } = body as Readonly<Record<string, unknown>>
  const likeness = JSON.stringify([type, url, effectiveDirective, blockedURL, sourceFile, lineNumber, disposition])
  return createHash('sha256').update(likeness).digest('base64')
}
