import { CONTENT_CLASSES } from '../content-class.js'
import { fixedValue } from './fixed-value.js'

/**
 * The browser believes the declared content type.
 * https://fetch.spec.whatwg.org/#x-content-type-options-header
 */
export const xContentTypeOptions = fixedValue('x-content-type-options', ['nosniff'], 'nosniff', { classes: CONTENT_CLASSES })
