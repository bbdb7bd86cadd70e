import { boolean, integer, nested, string, type OptionRules, type Rule } from '@fastkeep/options'
import { ReportingInvalid } from '../errors.js'

export interface ReportingOptions {
  /** Of the route that takes the reports, beginning with `/`; the prefix of the scope comes before it. */
  readonly path?: string
  /** The name by which policies know that route. Default `security`. */
  readonly endpoint?: string
  /** Further endpoints by name, each a path or an `https:` URL, for directives that name them. */
  readonly endpoints?: Readonly<Record<string, string>>
  /** Also sends `Report-To`, which Chromium had before `Reporting-Endpoints`. Default `false`: it is deprecated. */
  readonly reportTo?: boolean
  /** Bytes of the largest body; a larger one is answered with 413. Default 65536. */
  readonly bodyLimit?: number
  /** Requests that one client address may send in a minute; further ones are answered with 429. Default 60. */
  readonly perMinute?: number
  /** Reports that are logged and published in a minute, all clients together; further ones are counted. Default 600. */
  readonly reportsPerMinute?: number
  /** Seconds for which a report like an earlier one is only counted. Default 600; 0 lets each through. */
  readonly deduplicateFor?: number
}

/** What the headers need to know of it. */
export interface Reporting {
  /** The name and the path of the route; `undefined` where there is none. */
  readonly own: { readonly endpoint: string, readonly path: string } | undefined
  /** All endpoints by name. */
  readonly endpoints: Readonly<Record<string, string>>
  readonly hasReportTo: boolean
}

export const REPORTING_DEFAULTS = {
  endpoint: 'security', bodyLimit: 65_536, perMinute: 60, reportsPerMinute: 600, deduplicateFor: 600,
} as const

// The key of a Structured Fields dictionary, RFC 9651 section 3.2, that is also a token of CSP.
const ENDPOINT = /^[a-z][a-z0-9_.-]{0,63}$/
// Without what has a meaning in the paths of routes or of URLs.
const PATH = /^\/(?!\/)[\w\-.~%/]*$/
const URL_OF_TLS = /^https:\/\/[a-z0-9.-]+(:\d{1,5})?(\/[\w\-.~!$&'()*+=:@%/?]*)?$/i

const urls = nested({})
const ENDPOINTS: Rule = {
  expected: 'an object of paths and https: URLs by the name of the endpoint',
  accepts: value => urls.accepts(value) && Object.values(value as object).every(url => typeof url === 'string'),
}

export const REPORTING_RULES: OptionRules = {
  path: string('a path such as "/csp-reports"', PATH),
  endpoint: string('the name of a reporting endpoint, such as "security"', ENDPOINT),
  endpoints: ENDPOINTS,
  reportTo: boolean,
  bodyLimit: integer(1024, 1_048_576, 'bytes'),
  perMinute: integer(1, 100_000, 'requests of one client a minute'),
  reportsPerMinute: integer(1, 1_000_000, 'reports a minute'),
  deduplicateFor: integer(0, 86_400, 'seconds'),
}

/**
 * @param path of the option, for the error
 * @throws `FST_KEEP_SECURE_HEADERS_REPORTING`
 */
export function checkReporting ({ path: route, endpoint = REPORTING_DEFAULTS.endpoint, endpoints = {} }: ReportingOptions, path: string): void {
  if (route === undefined && Object.keys(endpoints).length === 0) {
    throw new ReportingInvalid(path, 'reports go nowhere: give path, for a route of this service, or endpoints')
  }
  for (const [name, url] of Object.entries(endpoints)) {
    if (!ENDPOINT.test(name)) {
      throw new ReportingInvalid(`${path}.endpoints`, `${JSON.stringify(name)} is no name of an endpoint: letters in lower case, digits, "_", "-" and "."`)
    }
    if (route !== undefined && name === endpoint) throw new ReportingInvalid(`${path}.endpoints.${name}`, 'that is the endpoint of path: give one of them another name')
    if (!PATH.test(url) && !URL_OF_TLS.test(url)) {
      throw new ReportingInvalid(`${path}.endpoints.${name}`, 'it must be a path such as "/reports" or an https: URL; browsers report over TLS only')
    }
  }
}

/**
 * The prefix of a scope may hold what no URL of a report can.
 *
 * @throws `FST_KEEP_SECURE_HEADERS_REPORTING`
 */
export function checkPath (whole: string, option: string): void {
  if (!PATH.test(whole)) {
    throw new ReportingInvalid(option, `with the prefix of its scope it is ${JSON.stringify(whole)}, to which nobody can send: register reporting in a scope whose prefix has no parameters`)
  }
}

/** @param prefix of the scope that the route is added to */
export function reportingOf (
  { path, endpoint = REPORTING_DEFAULTS.endpoint, endpoints = {}, reportTo = false }: ReportingOptions,
  prefix: string
): Reporting {
  if (path === undefined) return { own: undefined, endpoints: { ...endpoints }, hasReportTo: reportTo }
  const own = { endpoint, path: prefix + path }
  return { own, endpoints: { [endpoint]: own.path, ...endpoints }, hasReportTo: reportTo }
}

/** The value of `Reporting-Endpoints`, https://w3c.github.io/reporting/#header */
export function reportingEndpoints ({ endpoints }: Reporting): string {
  return Object.entries(endpoints).map(([name, url]) => `${name}="${url}"`).join(', ')
}

/** Seconds for which a browser remembers the groups of `Report-To`: 126 days. */
const GROUP_AGE = 10_886_400

/** The value of `Report-To`, https://www.w3.org/TR/2018/WD-reporting-1-20180925/#header */
export function reportTo ({ endpoints, hasReportTo }: Reporting): string | undefined {
  if (!hasReportTo) return undefined
  return Object.entries(endpoints)
    .map(([group, url]) => JSON.stringify({ group, max_age: GROUP_AGE, endpoints: [{ url }] })).join(', ')
}
