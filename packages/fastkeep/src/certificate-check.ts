import { ExitCode, type Given } from '@fastkeep/engine'
import type { Finding as TlsFinding, ServerContext, ServerContextOptions } from '@fastkeep/tls-context'
import { flagValue } from './command.js'
import type { Finding } from './finding.js'
import { CERTIFICATE_OPTIONS } from './tls-options.js'

/** What a context of an app has to say, in a form that goes from one process to another. */
export interface ContextSummary {
  readonly expiries: ReadonlyArray<{ readonly name: string, readonly validTo: string | Date }>
  readonly findings: readonly TlsFinding[]
}

/** As many names as are told of by themselves. */
const MOST = 5

/** What is to be said of the certificate that the flags name; nothing where they name none. */
export async function checkCertificates (flags: readonly Given[]): Promise<Finding[]> {
  const given = flags.filter(({ path }) => Object.hasOwn(CERTIFICATE_OPTIONS, path))
  if (given.length === 0) return []
  const { createServerContext, validate } = await import('@fastkeep/tls-context')
  const text = (path: string): string | undefined => flagValue(flags, path) as string | undefined
  const [cert, key, chain, pfx, passphraseFile, hosts] = [text('cert'), text('key'), text('chain'), text('pfx'), text('passphraseFile'), flagValue(flags, 'hosts') as string[] | undefined]
  const options: ServerContextOptions = {
    ...cert !== undefined && { cert },
    ...key !== undefined && { key },
    ...chain !== undefined && { chain },
    ...pfx !== undefined && { pfx },
    ...passphraseFile !== undefined && { passphrase: { file: passphraseFile } },
    ...hosts !== undefined && { hosts },
  }
  const findings = validate(options)
  if (findings.some(({ severity }) => severity === 'error')) return findings.map(findingOf)
  return contextFindings(createServerContext(options))
}

/** What is well with a context comes first, then its warnings. */
export function contextFindings ({ expiries, findings }: ContextSummary | ServerContext): Finding[] {
  const sorted = expiries.map(({ name, validTo }) => ({ name, validTo: new Date(validTo) })).sort((one, other) => one.validTo.getTime() - other.validTo.getTime())
  const more = sorted.length > MOST ? ` and ${sorted.length - MOST} later ones` : ''
  const dates = sorted.slice(0, MOST).map(({ name, validTo }) => `${name} until ${validTo.toISOString().slice(0, 10)}`).join(', ')
  return [
    ...sorted.length === 0 ? [] : [{ check: 'certificate', isGood: true, message: dates + more, exitCode: ExitCode.OK }],
    ...findings.filter(({ severity }) => severity !== 'info').map(findingOf),
  ]
}

function findingOf ({ code, severity, message, fix }: TlsFinding): Finding {
  const isError = severity === 'error'
  return {
    check: 'certificate',
    isGood: !isError,
    ...!isError && { isWarning: true },
    message: `${message}${fix === '' ? '' : `: ${fix}`} (${code})`,
    exitCode: isError ? ExitCode.CONFIG : ExitCode.OK,
  }
}
