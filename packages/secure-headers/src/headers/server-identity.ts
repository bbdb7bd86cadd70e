/**
 * Headers that tell an attacker what runs here; removed from every response.
 * https://owasp.org/www-project-secure-headers/#prevent-information-disclosure-via-http-headers
 */
export const SERVER_IDENTITY: ReadonlySet<string> = new Set(['server', 'x-powered-by'])
