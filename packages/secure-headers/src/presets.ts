import { NONCE } from './headers/content-security-policy-grammar.js'
import type { SecureHeadersOptions } from './options.js'

/** Whole policies by name, each as changes to the package's defaults. */
export const PRESET_NAMES = ['owasp', 'strict', 'cherrypy', 'legacy'] as const

export type PresetName = typeof PRESET_NAMES[number]

const HTTPS_OR_DATA = ["'self'", 'https:', 'data:']

export const PRESETS: Readonly<Record<PresetName, SecureHeadersOptions>> = {
  /** OWASP Secure Headers Project, `ci/headers_add.json` of 2026-07-19, but without `interest-cohort`, whose feature is gone. */
  owasp: {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'self'"],
        objectSrc: ["'none'"],
        frameAncestors: ["'none'"],
        upgradeInsecureRequests: [],
      },
    },
    crossOriginEmbedderPolicy: 'require-corp',
    permissionsPolicy: { 'web-share': [] },
    cacheControl: { value: 'no-store, max-age=0', documents: 'always' },
    originAgentCluster: false,
    xXssProtection: false,
  },
  /** What the browsers of today can hold against injected scripts; each script and style needs the nonce. */
  strict: {
    contentSecurityPolicy: {
      directives: {
        // The last two are for browsers that know neither nonces nor 'strict-dynamic'; the others ignore them.
        scriptSrc: [NONCE, "'strict-dynamic'", 'https:', "'unsafe-inline'"],
        styleSrc: [NONCE],
        requireTrustedTypesFor: ["'script'"],
        trustedTypes: ["'none'"],
      },
    },
    crossOriginEmbedderPolicy: 'require-corp',
  },
  /**
   * The three headers of the tool in CherryPy's documentation ("Securing your server"), and over TLS its HSTS. The
   * policy is as it was meant: the text there, `default-src='self'`, is no policy to a browser.
   */
  cherrypy: {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'self'"] } },
    xFrameOptions: 'DENY',
    xXssProtection: '1; mode=block',
    strictTransportSecurity: { maxAge: 31_536_000, includeSubDomains: false },
    permissionsPolicy: false,
    cacheControl: false,
    crossOriginOpenerPolicy: false,
    crossOriginResourcePolicy: false,
    originAgentCluster: false,
    referrerPolicy: false,
    xContentTypeOptions: false,
    xDnsPrefetchControl: false,
    xPermittedCrossDomainPolicies: false,
  },
  /** For pages that were written before there was a CSP: inline code runs, anything comes over TLS from anywhere. */
  legacy: {
    contentSecurityPolicy: {
      directives: {
        defaultSrc: ["'self'"],
        scriptSrc: ["'self'", 'https:', "'unsafe-inline'", "'unsafe-eval'"],
        scriptSrcAttr: ["'unsafe-inline'"],
        styleSrc: ["'self'", 'https:', "'unsafe-inline'"],
        imgSrc: HTTPS_OR_DATA,
        fontSrc: HTTPS_OR_DATA,
        connectSrc: ["'self'", 'https:', 'wss:'],
        baseUri: ["'self'"],
        frameAncestors: ["'self'"],
      },
    },
    permissionsPolicy: false,
    crossOriginOpenerPolicy: 'same-origin-allow-popups',
    crossOriginResourcePolicy: 'same-site',
    originAgentCluster: false,
    referrerPolicy: 'strict-origin-when-cross-origin',
    xDownloadOptions: 'noopen',
    xFrameOptions: 'SAMEORIGIN',
  },
}
