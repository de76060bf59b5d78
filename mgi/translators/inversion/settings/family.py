"""The translator that all methods of this family share."""

FAMILY = "mgi.translators.inversion.translator:InversionTranslator"
