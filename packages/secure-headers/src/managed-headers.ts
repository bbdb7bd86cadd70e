import { SERVER_IDENTITY } from './headers/server-identity.js'
import { FIXED_VALUE_HEADERS } from './options.js'

/** Names of all headers that a policy may send or take away, in lower case. */
export const MANAGED_HEADERS: ReadonlySet<string> = new Set([
  'content-security-policy', 'content-security-policy-report-only', 'strict-transport-security', 'permissions-policy',
  'integrity-policy', 'integrity-policy-report-only', 'reporting-endpoints', 'report-to', 'cache-control',
  ...Object.values(FIXED_VALUE_HEADERS).map(({ name }) => name),
  ...SERVER_IDENTITY,
])
