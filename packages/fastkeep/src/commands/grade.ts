import { ExitCode } from '@fastkeep/engine'
import type { Grade, GradeReport, Ruleset } from '@fastkeep/tls-context'
import { GREEN, painter, RED, YELLOW } from '../colours.js'
import { flagValue, type Command } from '../command.js'
import { JSON_FLAG } from '../command-options.js'
import { UsageError } from '../errors.js'
import type { Terminal } from '../terminal.js'
import { GRADE_OPTIONS } from '../tls-options.js'

/** The server answers, and is not as good as was asked for. */
const NOT_GOOD_ENOUGH = 1

const HTTPS = 443

export const grade: Command = {
  name: 'grade',
  summary: 'grade a TLS server of yours as SSL Labs or testssl.sh would, from here',
  details: `It takes well under a second and some dozens of connections. The exit code is 0; 1 with --min for a grade that is
worse, also because of a certificate that is not trusted (T) or of another name (M); 69 where no TLS answers.`,
  operands: [{ name: 'host:port' }],
  flags: { ...JSON_FLAG, ...GRADE_OPTIONS },
  run: async ({ flags, operands: [address = ''], terminal }) => {
    const { host, port } = parseAddress(address)
    const { grade, gradeSummary, isGradeAtLeast } = await import('@fastkeep/tls-context')
    const value = <Value>(path: string): Value | undefined => flagValue(flags, path) as Value | undefined
    const [ruleset, servername, ca, timeout, min] = [value<Ruleset>('ruleset'), value<string>('servername'), value<string[]>('ca'), value<number>('timeout'), value<Grade>('min')]
    let report: GradeReport
    try {
      report = await grade(host, port, { ...ruleset !== undefined && { ruleset }, ...servername !== undefined && { servername }, ...ca !== undefined && { ca }, ...timeout !== undefined && { timeout } })
    } catch (error) {
      if ((error as { code?: string }).code !== 'FST_KEEP_TLS_CONTEXT_SCAN_FAILED') throw error
      terminal.tell(`fastkeep: ${(error as Error).message}`)
      return ExitCode.UNAVAILABLE
    }
    terminal.print(value('json') === true ? JSON.stringify(report) : painted(gradeSummary(report), report.grade, terminal))
    if (min === undefined || isGradeAtLeast(report.grade, min)) return ExitCode.OK
    terminal.tell(`fastkeep: ${report.grade} is worse than ${min}`)
    return NOT_GOOD_ENOUGH
  },
}

/** `example.org`, `example.org:8443`, `[::1]:8443`, `https://example.org/`; the port is 443 unless it is said. */
export function parseAddress (text: string): { host: string, port: number } {
  const match = /^(?:https:\/\/)?(?:\[([0-9a-f:.]+)\]|([^\s:/[\]@]+))(?::(\d{1,5}))?(?:\/.*)?$/i.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3] ?? HTTPS)
  if (host === undefined || port < 1 || port > 65_535) throw new UsageError(`grade: ${JSON.stringify(text)} is no address: give host:port, e.g. example.org:443 or [::1]:8443`)
  return { host, port }
}

/** The grade stands in the first line, between the address and the ruleset. */
function painted (summary: string, grade: Grade, { hasColours }: Terminal): string {
  const colour = grade.startsWith('A') ? GREEN : grade === 'B' ? YELLOW : RED
  return summary.replace(`   ${grade}`, `   ${painter(hasColours)(grade, colour)}`)
}
