import { ExitCode } from '@fastkeep/engine'
import { checkCertificates } from '../certificate-check.js'
import { CHECKS } from '../checks.js'
import { GREEN, painter, RED, YELLOW } from '../colours.js'
import { flagValue, type Command } from '../command.js'
import { JSON_FLAG, START_OPTIONS } from '../command-options.js'
import { readConfiguration, type Configuration } from '../configuration.js'
import type { Finding } from '../finding.js'
import { CERTIFICATE_OPTIONS } from '../tls-options.js'

export const check: Command = {
  name: 'check',
  summary: 'say whether a start would succeed: configuration, user, secrets, PID file, address, certificates, app; starts nothing',
  details: 'One line for each finding: ok, warning, not ok. With --cert or --pfx that certificate is checked too, as are those that the app\nloads with its module. The exit code is 0, or that of the first one that stands against a start: 71, 73, 77, 78.',
  operands: [{ name: 'app', isOptional: true, completes: 'files' }],
  flags: { ...JSON_FLAG, ...CERTIFICATE_OPTIONS, ...START_OPTIONS },
  run: async ({ flags, operands: [app], terminal }) => {
    const findings = [...await findAll(flags.filter(({ path }) => Object.hasOwn(START_OPTIONS, path)), app), ...await checkCertificates(flags)]
    if (flagValue(flags, 'json') === true) terminal.print(JSON.stringify(findings))
    const paint = painter(terminal.hasColours)
    for (const { check, isGood, isWarning, message } of flagValue(flags, 'json') === true ? [] : findings) {
      const [mark, colour] = !isGood ? ['not ok', RED] : isWarning === true ? ['warning', YELLOW] : ['ok', GREEN]
      terminal.print(`${paint(mark, colour)}${' '.repeat(8 - mark.length)}${check}: ${message}`)
    }
    return findings.find(({ isGood }) => !isGood)?.exitCode ?? ExitCode.OK
  },
}

async function findAll (flags: Parameters<typeof readConfiguration>[0], app: string | undefined): Promise<Finding[]> {
  const findings: Finding[] = []
  let configuration: Configuration
  try {
    configuration = await readConfiguration(flags)
    findings.push({ check: 'configuration', isGood: true, message: configuration.file ?? 'no file', exitCode: ExitCode.OK })
  } catch (error) {
    return [failed('configuration', error)]
  }
  for (const { name, run } of CHECKS) {
    try {
      const found = await run(configuration.options, app)
      if (typeof found === 'string') findings.push({ check: name, isGood: true, message: found, exitCode: ExitCode.OK })
      else findings.push(...found ?? [])
    } catch (error) {
      findings.push(failed(name, error))
    }
  }
  return findings
}

function failed (check: string, error: unknown): Finding {
  const { message = String(error), exitCode = ExitCode.SOFTWARE } = (error ?? {}) as { message?: string, exitCode?: number }
  return { check, isGood: false, message, exitCode }
}
