import type { GradeReport } from './grade.js'

/**
 * One screen of text.
 *
 * @example console.log(gradeSummary(await grade('example.org')))
 */
export function gradeSummary (report: GradeReport): string {
  const { host, port, servername, ruleset, grade, gradeIfTrusted, scores, reasons, protocols, groups, certificates, strictTransportSecurity, duration } = report
  const name = servername === undefined || servername === host ? '' : ` as ${servername}`
  const ignored = gradeIfTrusted === grade ? '' : ` (${gradeIfTrusted} if it were trusted)`
  return [
    `${host}:${port}${name}   ${grade}${ignored}   by ${ruleset}, in ${Math.round(duration)} ms`,
    '',
    `  ${bar('protocol', scores.protocol)}`,
    `  ${bar('key exchange', scores.keyExchange)}`,
    `  ${bar('cipher', scores.cipher)}`,
    `  ${bar('total', scores.total)}`,
    '',
    ...reasons.length === 0 ? ['  nothing keeps it from a better grade'] : reasons.map(({ effect, grade, message }) => `  ${label(effect, grade)} ${message}`),
    '',
    ...protocols.map(({ name, suites, hasServerPreference }) => `  ${name.padEnd(8)} ${suites.length} suites${hasServerPreference === undefined ? '' : hasServerPreference ? ', the server chooses' : ', the client chooses'}: ${shortened(suites.map(({ name }) => name.replace(/^TLS_/, '')))}`),
    `  groups   ${groups.map(({ name }) => name).join(' ') || 'none'}`,
    ...certificates.map(({ subject, keyType, keyBits, signatureAlgorithm, validTo, chainLength }) => `  cert     ${subject}, ${keyType} ${keyBits}, ${signatureAlgorithm}, until ${validTo.toISOString().slice(0, 10)}, chain of ${chainLength}`),
    `  HSTS     ${strictTransportSecurity === undefined ? 'no answer over HTTP' : strictTransportSecurity ?? 'none'}`,
    `  not looked at: ${report.notProbed.join('; ')}`,
  ].join('\n')
}

function bar (what: string, score: number): string {
  return `${what.padEnd(13)}${String(score).padStart(3)} ${'#'.repeat(Math.round(score / 5)).padEnd(20, '.')}`
}

function label (effect: string, grade: string): string {
  return (effect === 'cap' ? `at most ${grade}:` : effect === 'warning' ? `warning (${grade}):` : 'no A+:').padEnd(14)
}

function shortened (names: readonly string[]): string {
  return names.slice(0, 4).join(' ') + (names.length > 4 ? ` and ${names.length - 4} more` : '')
}
