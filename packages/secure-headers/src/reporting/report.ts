/** What a browser has reported, in one form for both ways of reporting. All strings are the client's claims. */
export interface SecurityReport {
  /** `csp-violation`, `coop`, `coep`, `integrity-violation`, ... as the browser names it. */
  readonly type: string
  /** The page, without query, fragment and credentials; empty where the browser did not tell. */
  readonly url: string
  /** ms between the event and the sending; 0 where the browser did not tell. */
  readonly age: number
  readonly userAgent: string
  readonly body: CspViolation | Readonly<Record<string, string | number | boolean>>
}

/** The body of a `csp-violation`, https://w3c.github.io/webappsec-csp/#cspviolationreportbody */
export interface CspViolation {
  readonly documentURL: string
  /** The URL that was blocked, or a word such as `inline` or `eval`. */
  readonly blockedURL: string
  readonly effectiveDirective: string
  readonly disposition: string
  readonly sourceFile: string
  readonly lineNumber: number
  readonly columnNumber: number
  readonly statusCode: number
  /** The first 40 characters of what was blocked, where the policy has `'report-sample'`. */
  readonly sample: string
  readonly referrer: string
}

/** No report of a browser is longer in one place; what is cut is of no use. */
const MAX_LENGTH = 512
const MAX_FIELDS = 24
/** A browser sends what has gathered in a minute or so. */
const MAX_REPORTS = 100

/** Names of https://www.w3.org/TR/CSP2/#violation-reports in the terms of CSP3. */
const LEGACY_NAMES: Readonly<Record<keyof CspViolation, readonly string[]>> = {
  documentURL: ['document-uri'],
  blockedURL: ['blocked-uri'],
  effectiveDirective: ['effective-directive', 'violated-directive'],
  disposition: ['disposition'],
  sourceFile: ['source-file'],
  lineNumber: ['line-number'],
  columnNumber: ['column-number'],
  statusCode: ['status-code'],
  sample: ['script-sample'],
  referrer: ['referrer'],
}

const NUMBERS: ReadonlySet<string> = new Set(['lineNumber', 'columnNumber', 'statusCode'])
const URLS: ReadonlySet<string> = new Set(['documentURL', 'blockedURL', 'sourceFile', 'referrer'])

/**
 * The reports of one request's body, as far as it has any; what is not of the form is left out.
 *
 * @param body parsed JSON: an object with `csp-report`, a report, or an array of reports
 */
export function readReports (body: unknown, userAgent: string): SecurityReport[] {
  if (isObject(body) && isObject(body['csp-report'])) {
    const violation = cspViolation(body['csp-report'], LEGACY_NAMES)
    return [{ type: 'csp-violation', url: violation.documentURL, age: 0, userAgent: text(userAgent), body: violation }]
  }
  return [body].flat().slice(0, MAX_REPORTS).flatMap(report => readReport(report, userAgent))
}

function readReport (report: unknown, userAgent: string): SecurityReport[] {
  if (!isObject(report) || typeof report.type !== 'string' || !isObject(report.body)) return []
  const { type, url, age, body, user_agent: ownUserAgent } = report
  return [{
    type: text(type),
    url: address(url),
    age: number(age),
    userAgent: text(ownUserAgent ?? userAgent),
    body: type === 'csp-violation' ? cspViolation(body) : plainFields(body),
  }]
}

function cspViolation (body: Readonly<Record<string, unknown>>, names?: typeof LEGACY_NAMES): CspViolation {
  const violation = Object.keys(LEGACY_NAMES).map(field => {
    const candidates = names?.[field as keyof CspViolation] ?? [field]
    const value = candidates.map(name => own(body, name)).find(value => value !== undefined)
    return [field, NUMBERS.has(field) ? number(value) : URLS.has(field) ? address(value) : text(value)]
  })
  return Object.fromEntries(violation) as CspViolation
}

/** The bodies of other reports differ by type; what is nested in them is left out. */
function plainFields (body: Readonly<Record<string, unknown>>): Record<string, string | number | boolean> {
  const fields = Object.entries(body).slice(0, MAX_FIELDS).flatMap(([name, value]): Array<[string, string | number | boolean]> => {
    if (typeof value === 'string') return [[text(name), text(withoutSecrets(value))]]
    return typeof value === 'boolean' || typeof value === 'number' ? [[text(name), value]] : []
  })
  return Object.fromEntries(fields)
}

function own (object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

/** Without what could forge a line of a log or command a terminal. */
function text (value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MAX_LENGTH).replace(/\p{Cc}/gu, ' ') : ''
}

function number (value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}

/** A URL, or a word such as `inline`; of `data:` and its like only the scheme. */
function address (value: unknown): string {
  if (typeof value !== 'string') return ''
  return text(withoutSecrets(value).replace(/^([\w+.-]+):(?!\/\/).*$/s, '$1'))
}

/** Query, fragment and credentials of a URL may be secrets, and a log is no place for these. */
function withoutSecrets (value: string): string {
  return value.replace(/:\/\/[^\s"'<>]*/g, url => url.replace(/[?#].*$/s, '').replace(/^:\/\/[^/]*@/, '://'))
}

function isObject (value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
