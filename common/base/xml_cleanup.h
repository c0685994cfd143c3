/* xml_cleanup.h - scope-bound release (cleanup.h) of what libxml2 gives; of those linked with it.
 */
#ifndef GOPMILL_BASE_XML_CLEANUP_H
#define GOPMILL_BASE_XML_CLEANUP_H

#include <libxml/tree.h>

static inline void xml_freep(xmlChar **p)
{
    if (*p)
        xmlFree(*p);
}

static inline void doc_freep(xmlDoc **d)
{
    if (*d)
        xmlFreeDoc(*d);
}

#endif
