from odoo import fields, models


class AccountMove(models.Model):
    _inherit = "account.move"

    ocr_confidence = fields.Float(readonly=True, help="How sure the gateway was, from 0 to 1")

    def needs_review(self):
        limit = float(self.env["ir.config_parameter"].sudo().get_param("custom_ocr_finance.limit", "0.95"))
        return self.filtered(lambda move: move.ocr_confidence < limit)
