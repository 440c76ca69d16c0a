import hmac
import secrets

from odoo import api, fields, models


class Table(models.Model):
    _name = "qr_ordering.table"
    _description = "Table with a QR code"

    name = fields.Char(required=True)
    token = fields.Char(default=lambda self: secrets.token_urlsafe(16), readonly=True, copy=False)

    @api.model
    def find_by_token(self, token):
        return next((table for table in self.search([]) if hmac.compare_digest(table.token, token)), None)
